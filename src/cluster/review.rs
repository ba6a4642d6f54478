//! May the bot do what it may have to do? Asked of the API server itself, without doing any of it.

use futures::future::join_all;
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
};
use kube::{Api, api::PostParams};

use super::{ClusterClient, ClusterError, rights::Right};

/// A right in one namespace; none is all namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessQuestion {
    /// Which right.
    pub right: &'static Right,
    pub namespace: Option<String>,
}

impl ClusterClient {
    /// Asks for each: whether the bot has it, or why that is not known.
    pub async fn may(&self, wanted: &[AccessQuestion]) -> Vec<Result<bool, ClusterError>> {
        join_all(wanted.iter().map(|one| self.may_one(one))).await
    }

    /// Who the API server takes the bot for; `None` where it does not say (before Kubernetes 1.28).
    pub async fn who_am_i(&self) -> Option<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let call = async {
            let made = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
            made.map_err(|error| ClusterError::of(&error, "create", "selfsubjectreviews", "the cluster", "who am I"))
        };
        let answer = self.bounded("who am I", call).await.ok()?;
        answer.status?.user_info?.username
    }

    async fn may_one(&self, wanted: &AccessQuestion) -> Result<bool, ClusterError> {
        let Right { group, resource, name, verb, .. } = wanted.right;
        let (resource, subresource) = resource.split_once('/').map_or((*resource, None), |(of, part)| (of, Some(part)));
        let text = |text: &str| Some(text.to_owned());
        let attributes = ResourceAttributes {
            group: text(group),
            resource: text(resource),
            subresource: subresource.and_then(text),
            name: name.and_then(text),
            verb: text(verb),
            namespace: wanted.namespace.clone(),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let what = "the API server's answer about the bot's own rights";
        let call = async {
            let made = api.create(&PostParams::default(), &review).await;
            made.map_err(|error| ClusterError::of(&error, "create", "selfsubjectaccessreviews", "the cluster", what))
        };
        let answer = self.bounded(what, call).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
