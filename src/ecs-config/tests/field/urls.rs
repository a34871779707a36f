//! Addresses that are none. What a Go program makes of a proxy: golang/net,
//! http/httpproxy/proxy.go; of ECS_BACKEND_HOST: agent/config/config.go.

use super::{ERROR, finds};

fn in_file(setting: &str) -> String {
    format!("{setting}\nNO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock\n")
}

#[test]
fn address_that_is_none_is_an_error() {
    for setting in [
        "HTTPS_PROXY=https//proxy:3128",
        "HTTP_PROXY=htp://proxy",
        "HTTP_PROXY=http:/proxy:3128",
        "HTTPS_PROXY=http:proxy:3128",
        "http_proxy=http://proxy:port",
        "https_proxy=http://proxy:70000",
        "HTTP_PROXY=http://proxy,3128",
        "HTTP_PROXY=http://",
        "HTTP_PROXY=ftp://proxy:21",
        "HTTPS_PROXY=http://:3128",
        "HTTP_PROXY=a b",
        "HTTP_PROXY=http://user:50%@proxy:3128",
        "HTTP_PROXY=user:pa^ss@proxy:3128",
        "HTTPS_PROXY=http://proxy:3128/%zz",
        "HTTP_PROXY=[proxy]:3128",
        "https_proxy=http://[10.0.0.1]:3128",
        "ECS_BACKEND_HOST=htps://ecs.example.com",
        "ECS_BACKEND_HOST=https//ecs.example.com",
        "AWS_ENDPOINT_URL_ECS=ecs.example.com",
        "AWS_ENDPOINT_URL=https:///ecs",
    ] {
        finds(&in_file(setting), &[("bad-url", ERROR)]);
    }
}

#[test]
fn address_that_the_program_takes_is_silent() {
    for setting in [
        "HTTP_PROXY=proxy",
        "HTTP_PROXY=proxy:3128",
        "HTTPS_PROXY=http://user:pa%20ss@proxy.example.com:3128/",
        "HTTPS_PROXY=socks5h://10.0.0.1:1080",
        "HTTP_PROXY=http://[fd00::1]:3128",
        "HTTP_PROXY=[::1]:3128",
        "HTTP_PROXY=http://[fe80::1%25eth0]:3128",
        "HTTPS_PROXY=http://us@er:pa@ss@proxy:3128",
        "HTTP_PROXY=HTTP://proxy:3128",
        "HTTP_PROXY=http://my_proxy:3128/path",
        "ECS_BACKEND_HOST=ecs.example.com",
        "ECS_BACKEND_HOST=https://ecs.eu-west-1.amazonaws.com",
        "AWS_ENDPOINT_URL=http://127.0.0.1:4566",
    ] {
        finds(&in_file(setting), &[]);
    }
}
