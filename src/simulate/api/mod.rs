//! The Kubernetes API of the simulated mesh: as much of it as the crate kube and kubectl use.
//!
//! It serves the objects of the [`Store`] and asks the [`Kubelet`] about what runs in pods; it knows nothing of meshes.
//! What a test may break in it (rights, delays, errors) is in [`Options`]; faults of the mesh belong to the world.

mod channel;
mod containers;
mod discovery;
mod disruption;
mod eviction;
mod exec;
mod injection;
mod kubeconfig;
mod log;
mod merge;
mod options;
mod path;
mod portforward;
mod protobuf;
mod query;
mod read;
mod review;
mod selector;
mod status;
mod table;
mod watch;
mod write;

use std::{io, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Kubelet, store::Store};

pub use disruption::keep_budgets;
pub use injection::{Injection, InjectionError};
pub use kubeconfig::write_kubeconfig;
pub use options::{ApiFault, Options, USER};

use options::Then;
use path::{Route, Target};
use query::Query;
use read::Form;
use status::{Failure, answer};

/// The largest body read, in bytes: the limit of a real API server.
const BODY_MOST: usize = 3 * 1024 * 1024;

/// What every handler needs.
struct Api {
    store: Arc<Store>,
    kubelet: Arc<dyn Kubelet>,
    options: Options,
    shutdown: CancellationToken,
}

/// Serves the API on a listener until `shutdown`; keeps the status of disruption budgets meanwhile. Watches end and open
/// streams are dropped at shutdown.
pub async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    kubelet: Arc<dyn Kubelet>,
    options: Options,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let app = router(Arc::clone(&store), kubelet, options, shutdown.clone());
    let budgets = tokio::spawn(keep_budgets(store, shutdown.clone()));
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    budgets.abort();
    served
}

/// The API as a router, to be mounted or called without a network. [`serve`] also runs [`keep_budgets`].
pub fn router(store: Arc<Store>, kubelet: Arc<dyn Kubelet>, options: Options, shutdown: CancellationToken) -> Router {
    let api = Arc::new(Api { store, kubelet, options, shutdown });
    // One handler: the paths of Kubernetes are a grammar (group, version, namespace, kind), not a list.
    Router::new().fallback(handle).with_state(api)
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some(route) = Route::of(parts.uri.path()) else {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    };
    dispatch(&api, route, parts, body).await.unwrap_or_else(Failure::into_response)
}

async fn dispatch(api: &Arc<Api>, route: Route, parts: Parts, body: Body) -> Result<Response<Body>, Failure> {
    let document = match route {
        Route::Objects(target) => return objects(api, target, parts, body).await,
        Route::AccessReview => {
            let whole = admit(api, &["create"], "selfsubjectaccessreviews").await?;
            let body = read_body(body).await?;
            let answer = review::review(&api.options, &parts.headers, &body)?;
            return Ok(if whole { answer } else { broken_off() });
        }
        Route::Health => return Ok("ok".into_response()),
        Route::Version => Some(discovery::version()),
        Route::Core => Some(discovery::core_versions()),
        Route::Groups => Some(discovery::groups()),
        Route::Group(group) => discovery::group(&group),
        Route::Resources(group, version) => discovery::resources(&group, &version),
        Route::OpenApiIndex => Some(discovery::openapi_index()),
        Route::OpenApi(group, version) => discovery::openapi(&group, &version),
    };
    match document {
        Some(document) => Ok(answer(StatusCode::OK, &document)),
        None => Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response()),
    }
}

/// A request about objects: rights first, then injected faults, then the work.
async fn objects(api: &Arc<Api>, target: Target, mut parts: Parts, body: Body) -> Result<Response<Body>, Failure> {
    let query = Query::of(&parts.uri)?;
    let verb = target.verb(&parts.method, &query);
    let resource = target.resource();
    let mut verbs = vec![verb];
    // Since Kubernetes 1.35 a WebSocket into a pod needs the right to create as well as to get.
    if matches!(target.subresource.as_deref(), Some("exec" | "portforward")) && verb == "get" {
        verbs.push("create");
    }
    if let Some(denied) = verbs.iter().find(|verb| !api.options.may(verb, &resource)) {
        return Err(Failure::forbidden(&target, USER, denied));
    }
    let whole = admit(api, &verbs, &resource).await?;
    if target.subresource.as_deref() == Some("exec") {
        return exec::exec(api, target, &query, &mut parts, whole).await;
    }
    let answer = perform(api, target, verb, &query, parts, body).await?;
    Ok(if whole { answer } else { broken_off() })
}

async fn perform(
    api: &Arc<Api>,
    target: Target,
    verb: &str,
    query: &Query,
    mut parts: Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    match (&parts.method, target.subresource.as_deref()) {
        (&(Method::GET | Method::POST), Some("portforward")) => {
            portforward::portforward(api, target, query, &mut parts).await
        }
        (&Method::GET, Some("log")) => log::log(api, &target, query),
        (&Method::POST, Some("eviction")) => {
            eviction::evict(api, &target, query, &parts.headers, &read_body(body).await?)
        }
        (&Method::GET, None | Some("status")) => {
            let form = Form::of(&parts.headers, query);
            match verb {
                "get" => read::get(api, &target, form),
                "watch" => watch::watch(api, &target, query, form),
                _ => read::list(api, &target, query, form),
            }
        }
        (_, None | Some("status")) => write(api, &target, verb, query, &parts, &read_body(body).await?),
        _ => Err(Failure::not_allowed()),
    }
}

fn write(
    api: &Api,
    target: &Target,
    verb: &str,
    query: &Query,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if verb != "delete" && media.starts_with(protobuf::MEDIA_TYPE) {
        return Err(Failure::media_type("the simulated mesh takes objects in JSON only; send application/json"));
    }
    match verb {
        "create" if target.name.is_none() => write::create(api, target, query, body),
        "update" if target.name.is_some() => write::update(api, target, query, body),
        "patch" if target.name.is_some() => write::patch(api, target, query, media, body),
        "delete" if target.subresource.is_none() => write::delete(api, target, query, &parts.headers, body),
        _ => Err(Failure::not_allowed()),
    }
}

/// Lets a request meet the fault that was injected for it; false means that its answer gets lost.
async fn admit(api: &Api, verbs: &[&str], resource: &str) -> Result<bool, Failure> {
    let Some(fault) = api.options.meet(verbs, resource) else { return Ok(true) };
    tokio::time::sleep(fault.wait()).await;
    match fault.then() {
        Then::Answer => Ok(true),
        Then::Cut => Ok(false),
        Then::Status(code, message) => Err(Failure::injected(*code, message).retry_after(fault.asks_to_wait())),
        Then::Hang => {
            api.shutdown.cancelled().await;
            Err(Failure::injected(503, "the simulated mesh is shutting down"))
        }
    }
}

/// An answer whose connection breaks: the client sees neither a body nor its end.
fn broken_off() -> Response<Body> {
    let lost = io::Error::new(io::ErrorKind::ConnectionReset, "injected: the answer is lost");
    Response::new(Body::from_stream(futures::stream::iter([Err::<Bytes, _>(lost)])))
}

async fn read_body(body: Body) -> Result<Bytes, Failure> {
    to_bytes(body, BODY_MOST).await.map_err(|_| Failure::too_large(BODY_MOST))
}

#[cfg(test)]
mod tests;
