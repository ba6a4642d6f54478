//! Keeps other web sites out of a page that listens on loopback without a password.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Only the page's own script sends this header; another site's script has to ask the browser first, which refuses.
const OWN_HEADER: &str = "x-mtls-medic";

/// Lets a request through that names this machine as its host and, if it changes anything, comes from the page itself.
pub(super) async fn own_page_only(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let changes = *request.method() != Method::GET;
    if !names_loopback(headers) || (changes && !headers.contains_key(OWN_HEADER)) {
        return (StatusCode::FORBIDDEN, "this page answers to itself only\n").into_response();
    }
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; \
                  img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// Against DNS names that point here: only an address or name of loopback is a host of this page.
fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
