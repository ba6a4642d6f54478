//! A call as Istio's text access log has it, and where each part stands: those in which the proxy speaks, and those that
//! callers fill as they like.

use std::ops::Range;

/// `[time] "request" code flags details termination "transport failure" numbers "…" "upstream" cluster addresses server-name …`.
pub(in crate::triage) struct Call<'a> {
    line: &'a str,
    /// With the bracket that opens it.
    time: Range<usize>,
    /// Method and path.
    request: Range<usize>,
    /// From behind the request to the end of the transport failure.
    answer: Range<usize>,
    /// Sizes and times, forwarded addresses, agent, request ID, authority.
    callers: Range<usize>,
    /// Where the call went.
    endpoint: Option<Range<usize>>,
    /// The cluster and the three addresses behind it.
    cluster: Range<usize>,
}

/// How the request of a TCP connection is logged.
const NO_REQUEST: &str = "\"- - -\"";

impl<'a> Call<'a> {
    /// Reads a line; `None` where it has another form.
    pub(in crate::triage) fn of(line: &'a str) -> Option<Self> {
        let from = line.len().saturating_sub(line.trim_start().len());
        let time = from..line.find("] \"")?;
        if !line.get(time.clone())?.starts_with('[') {
            return None;
        }
        let open = time.end.saturating_add("] ".len());
        let (request, behind) = request(line, open)?;
        let quote = |from: usize| line.get(from..)?.find('"').map(|at| at.saturating_add(from));
        let answer = behind..quote(quote(behind)?.saturating_add(1))?.saturating_add(1);
        let last = line.rfind('"').filter(|last| *last >= answer.end);
        let callers = answer.end..last.unwrap_or(answer.end);
        let upstream = line.get(callers.clone())?.rfind('"').map(|at| at.saturating_add(callers.start));
        let endpoint = upstream.map(|at| at.saturating_add(1)..callers.end);
        let callers = callers.start..upstream.unwrap_or(callers.end);
        let cluster = last.map_or(answer.end, |last| last.saturating_add(1));
        let cluster = cluster..cluster.saturating_add(without_server_name(line.get(cluster..)?).len());
        Some(Self { line, time, request, answer, callers, endpoint, cluster })
    }

    fn text(&self, part: &Range<usize>) -> &'a str {
        self.line.get(part.clone()).unwrap_or_default()
    }

    /// What the proxy itself says.
    pub(super) fn fields_of_the_proxy(&self) -> String {
        let [time, answer, cluster] = [&self.time, &self.answer, &self.cluster].map(|part| self.text(part));
        format!("{time}] \"- HTTP/1.1\"{answer}{cluster}")
    }

    /// From the cluster on, to where callers speak again.
    pub(super) fn cluster(&self) -> &'a str {
        self.text(&self.cluster)
    }

    pub(super) fn endpoint(&self) -> Option<&'a str> {
        self.endpoint.as_ref().map(|endpoint| self.text(endpoint))
    }

    /// The parts between which nothing belongs together, in their order.
    pub(in crate::triage) fn fields(&self) -> Vec<Range<usize>> {
        let Self { line, request, answer, callers, endpoint, cluster, .. } = self;
        let server_name = cluster.end..line.len();
        let first = [request.clone(), answer.clone(), callers.clone()].into_iter();
        first.chain(endpoint.clone()).chain([cluster.clone(), server_name]).collect()
    }
}

/// The cluster and the three addresses behind it. Then comes the server name for which a caller asked when it connected.
fn without_server_name(cluster: &str) -> &str {
    const WORDS: usize = 4;
    let ends = cluster.char_indices().filter(|(at, letter)| {
        let before = at.checked_sub(1).and_then(|before| cluster.as_bytes().get(before));
        *letter == ' ' && before.is_some_and(|before| *before != b' ')
    });
    ends.map(|(at, _)| at).nth(WORDS.saturating_sub(1)).and_then(|end| cluster.get(..end)).unwrap_or(cluster)
}

/// Where method and path stand of the request whose quote opens at `open`, and what comes behind the quote that follows the
/// protocol. A path may hold quotes, but no space.
fn request(line: &str, open: usize) -> Option<(Range<usize>, usize)> {
    let quoted = line.get(open..)?;
    let inside = open.saturating_add(1);
    if quoted.starts_with(NO_REQUEST) {
        return Some((inside..inside, open.saturating_add(NO_REQUEST.len())));
    }
    quoted.match_indices(" HTTP/").find_map(|(at, found)| {
        let version = quoted.get(at.saturating_add(found.len())..)?;
        let digits = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let end = at.saturating_add(found.len()).saturating_add(digits).saturating_add(1);
        let is_end = version.get(digits..)?.starts_with('"');
        is_end.then(|| (inside..open.saturating_add(at), open.saturating_add(end)))
    })
}
