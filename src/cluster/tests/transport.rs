//! The ways to an API server.

use kube::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{Mesh, pod_ref};
use crate::cluster::{ClusterClient, Settings, resolve, tests::target};

/// A proxy that opens tunnels, and ends with what it was asked instead.
async fn proxy(listener: TcpListener) -> String {
    let mut tunnels = tokio::task::JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(client.read_u8().await.unwrap());
        }
        let asked = String::from_utf8(asked).unwrap();
        let Some(to) = asked.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else { return asked };
        let mut server = TcpStream::connect(to).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        tunnels.spawn(async move { copy_bidirectional(&mut client, &mut server).await });
    }
}

#[tokio::test]
async fn a_cluster_behind_a_proxy_is_reached_through_it() {
    let mesh = Mesh::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("http://{}", listener.local_addr().unwrap());
    let mut config = Config::new(mesh.url.parse().unwrap());
    config.proxy_url = Some(through.parse().unwrap());
    let reach = ClusterClient::new(config, Settings::default()).unwrap();
    let target = target("pod/frontend-a");
    tokio::select! {
        found = resolve(&reach, &target) => assert_eq!(found.unwrap().pods[0].pod, pod_ref("frontend-a")),
        asked = proxy(listener) => panic!("the proxy was asked for {asked}"),
    }
}
