//! `mtls-medic pair`: does A reach B by mTLS, and why not, computed from the objects of the cluster, or from saved ones.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    io::{BufWriter, Write, stdout},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::objects_source::{ObjectsSource, ObjectsSourceError};
use crate::{
    legible,
    report::{all_pairs_text, pair_text},
    triage::istio::{
        Computed, Conclusion, Destination, Judged, ObjectName, Objects, PairAnswer, Pod, Question, Service, Target,
        WrongTarget, clients_named,
    },
};

/// Options of `pair`.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// Who calls: pod/NAME, deploy/NAME, statefulset/NAME, daemonset/NAME or svc/NAME
    #[arg(required_unless_present = "all")]
    client: Option<String>,
    /// Who is called: SERVICE[.NAMESPACE][:PORT][/SUBSET]; without it, everything that the client's proxy knows
    service: Option<String>,
    /// The namespace of the client
    #[arg(short, long, required_unless_present = "all")]
    namespace: Option<String>,
    /// Every pod and port, and every client with every Service, port and subset
    #[arg(long, conflicts_with_all = ["client", "namespace"])]
    all: bool,
    #[command(flatten)]
    source: ObjectsSource,
    /// Write the answer like this
    #[arg(short, long, value_enum, default_value_t)]
    output: PairFormat,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum PairFormat {
    /// Lines for a terminal.
    #[default]
    Text,
    /// An object, for programs.
    Json,
}

/// The question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file, or the cluster.
    #[error(transparent)]
    Objects(#[from] ObjectsSourceError),
    /// Who calls or is called.
    #[error(transparent)]
    Target(#[from] WrongTarget),
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Write(#[from] std::io::Error),
    /// The answer as JSON.
    #[error("the answer could not be written")]
    Json(#[from] serde_json::Error),
}

/// What the JSON of single questions is called.
const PAIR_SCHEMA: &str = "mtls-medic.pair/v1";

/// Computes and prints. 0 mTLS, 1 a call fails, 2 objects alone do not tell, 4 it works without mTLS; an error is 3.
pub async fn run(args: &PairArgs) -> Result<ExitCode, PairError> {
    let objects = args.source.read(args.namespaces()?.as_ref()).await?;
    let computed = Computed::new(&objects);
    if args.all {
        return match args.output {
            PairFormat::Text => {
                let (text, worst) = all_pairs_text(&computed);
                Ok(super::answer(&text, exit_code(worst)))
            }
            PairFormat::Json => Ok(stream(&computed)?),
        };
    }
    let namespace = args.namespace.as_deref().unwrap_or_default();
    let clients = clients_named(&computed, namespace, args.client.as_deref().unwrap_or_default())?;
    let mut asked = Vec::new();
    for client in computed.alike(&clients) {
        let Some(one) = client.any() else { continue };
        let names: Vec<ObjectName> = client.pods.iter().map(|pod| pod.metadata.object_name()).collect();
        let to = destinations(&computed, &objects, one, args.service.as_deref())?;
        asked.extend(to.into_iter().map(|to| (names.clone(), to, computed.judge(one, to))));
    }
    let worst = asked.iter().map(|(_, _, judged)| judged.conclusion()).max().unwrap_or(Conclusion::Unclear);
    let text = match args.output {
        PairFormat::Text => {
            let pairs: Vec<_> = asked.iter().map(|(clients, to, judged)| pair_text(clients, *to, judged)).collect();
            pairs.join("\n")
        }
        PairFormat::Json => {
            let pairs: Vec<_> =
                asked.iter().map(|(clients, to, judged)| JudgedPair::new(clients, *to, judged)).collect();
            serde_json::to_string_pretty(&JudgedPairs { schema: PAIR_SCHEMA, pairs })?
        }
    };
    Ok(super::answer(&text, exit_code(worst)))
}

impl PairArgs {
    /// The namespaces of one question: that of the client, and that of the Service. `None` where all are asked about.
    fn namespaces(&self) -> Result<Option<BTreeSet<String>>, WrongTarget> {
        let (Some(client), Some(service)) = (self.namespace.clone(), &self.service) else { return Ok(None) };
        let called = Target::parse(service, &client)?.service.namespace;
        Ok(Some(BTreeSet::from([client, called])))
    }
}

fn exit_code(worst: Conclusion) -> ExitCode {
    match worst {
        Conclusion::Mtls => ExitCode::SUCCESS,
        Conclusion::Fails => ExitCode::from(1),
        Conclusion::Unclear => ExitCode::from(2),
        Conclusion::WithoutMtls => ExitCode::from(4),
    }
}

fn destinations<'a>(
    computed: &'a Computed<'_>,
    objects: &'a Objects,
    client: &Pod,
    asked: Option<&'a str>,
) -> Result<Vec<Destination<'a>>, WrongTarget> {
    let Some(asked) = asked else { return Ok(computed.destinations(client)) };
    let target = Target::parse(asked, &client.metadata.namespace)?;
    let service: &Service = target.service(objects)?;
    let ports =
        target.port.map_or_else(|| service.spec.ports.iter().map(|port| port.port).collect(), |port| vec![port]);
    Ok(ports.into_iter().map(|port| Destination { service, port, subset: target.subset }).collect())
}

#[derive(Serialize)]
struct JudgedPairs<'a> {
    schema: &'static str,
    pairs: Vec<JudgedPair<'a>>,
}

/// A call with what it comes to, in the field names of `--all` and some more.
#[derive(Serialize)]
struct JudgedPair<'a> {
    client_pods: &'a [ObjectName],
    #[serde(flatten)]
    answer: PairAnswer<'a>,
    conclusion: Conclusion,
    why: String,
    client_side: String,
    servers: Vec<Question>,
    /// What may change the answer and is not computed with.
    caution: Vec<String>,
}

impl<'a> JudgedPair<'a> {
    fn new(client_pods: &'a [ObjectName], to: Destination<'a>, judged: &'a Judged<'_, '_>) -> Self {
        Self {
            client_pods,
            answer: PairAnswer::new(to, &judged.call),
            conclusion: judged.conclusion(),
            why: judged.sentence(),
            client_side: judged.client_side(),
            servers: judged.servers().collect(),
            caution: judged.beyond.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Writes all answers as they are computed: clients that are alike share one.
fn stream(computed: &Computed<'_>) -> Result<ExitCode, PairError> {
    match write_all(computed, &mut BufWriter::with_capacity(1 << 20, stdout().lock())) {
        Err(PairError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

fn write_all(computed: &Computed<'_>, out: &mut impl Write) -> Result<ExitCode, PairError> {
    let mut worst = Conclusion::Mtls;
    out.write_all(b"{\"questions\":[")?;
    let mut between = "\n";
    for question in computed.all_questions() {
        write!(out, "{between}{}", legible::line(&serde_json::to_string(&question)?))?;
        between = ",\n";
    }
    out.write_all(b"\n],\"pairs\":[")?;
    between = "\n";
    let services = computed.services_by_host();
    let mut known: Vec<HashMap<_, Answers>> = services.iter().map(|_| HashMap::new()).collect();
    for group in computed.client_groups() {
        let Some(client) = group.any() else { continue };
        let names = group.pods.iter().map(|pod| client_field(pod)).collect::<Result<Vec<_>, _>>()?;
        for (service, answers) in services.iter().zip(&mut known) {
            let answers = match answers.entry(computed.answered_by(client, service)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(answers_for(computed, client, service)?),
            };
            worst = worst.max(answers.worst);
            for (rest, name) in answers.rests.iter().flat_map(|rest| names.iter().map(move |name| (rest, name))) {
                // Millions of these are written: formatting them would take most of the time.
                out.write_all(between.as_bytes())?;
                out.write_all(name.as_bytes())?;
                out.write_all(rest.as_bytes())?;
                between = ",\n";
            }
        }
    }
    out.write_all(b"\n]}\n")?;
    out.flush()?;
    Ok(exit_code(worst))
}

/// What all clients that follow one rule get of one Service.
struct Answers {
    /// Each without its client.
    rests: Vec<String>,
    worst: Conclusion,
}

fn answers_for(computed: &Computed<'_>, client: &Pod, service: &Service) -> Result<Answers, serde_json::Error> {
    let mut answers = Answers { rests: Vec::new(), worst: Conclusion::Mtls };
    for to in computed.destinations_of(client, service) {
        let judged = computed.judge(client, to);
        answers.worst = answers.worst.max(judged.conclusion());
        let answer = serde_json::to_string(&PairAnswer::new(to, &judged.call))?;
        answers.rests.push(legible::line(answer.strip_prefix('{').unwrap_or(&answer)).into_owned());
    }
    Ok(answers)
}

/// The beginning of an answer, which is all that differs between clients that are alike.
fn client_field(pod: &Pod) -> Result<String, serde_json::Error> {
    let name = serde_json::to_string(&pod.metadata.object_name())?;
    Ok(format!("{{\"client_pod\":{},", legible::line(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::istio::Pair;

    #[test]
    fn the_stream_is_one_object_with_the_answer_of_each_client() {
        let client = |name: &str| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: web, name: {name}}}\nspec: {{containers: [{{name: \
                 istio-proxy}}]}}\n"
            )
        };
        let service =
            "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: s}\nspec: {ports: [{port: 80}]}\n";
        let objects = Objects::read(&(client("a") + &client("b") + service)).unwrap();
        let computed = Computed::new(&objects);
        let mut out = Vec::new();
        write_all(&computed, &mut out).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let clients: Vec<_> = read["pairs"].as_array().unwrap().iter().map(|pair| &pair["client_pod"]).collect();
        assert_eq!(clients, ["web/a", "web/b"]);
        let name = ObjectName { namespace: "web".to_owned(), name: "a".to_owned() };
        let to = Destination { service: objects.services.values().next().unwrap(), port: 80, subset: None };
        let call = computed.call(&objects.pods[&name], to);
        let whole = Pair { client_pod: &name, answer: PairAnswer::new(to, &call) };
        assert_eq!(read["pairs"][0], serde_json::to_value(whole).unwrap());
    }
}
