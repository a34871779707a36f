//! Registry credentials as the agent looks them up: agent/dockerclient/dockerauth/dockerauth.go.

use super::{ERROR, WARNING, explains, finds};

fn dockercfg(key: &str, auth: &str) -> String {
    let entry = format!("{{\"{key}\":{{\"auth\":\"{auth}\"}}}}");
    format!("ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={entry}\n")
}

fn docker(entry: &str) -> String {
    let data = format!("{{\"r.example.com\":{entry}}}");
    format!("ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={data}\n")
}

#[test]
fn key_that_is_looked_up_for_no_image_is_an_error() {
    for key in [
        "https://index.docker.io/v1/user",
        "https://index.docker.io/v1",
        "index.docker.io",
        "docker.io",
        "https://registry-1.docker.io/v2/",
        "https://Index.docker.io/v1/",
        "hub.docker.com",
        "dockerhub",
        "HTTPS://r.example.com",
        "ftp://r.example.com",
        "*.dkr.ecr.eu-west-1.amazonaws.com",
        "user@r.example.com",
        "",
        "my registry.example.com",
    ] {
        finds(&dockercfg(key, "dTpw"), &[("registry-name", ERROR)]);
    }
    explains(
        &dockercfg("docker.io", "dTpw"),
        "key 1 is not the one of Docker Hub: the agent looks it up for no image",
        "write https://index.docker.io/v1/",
    );
}

#[test]
fn key_that_is_looked_up_is_silent() {
    for key in [
        "https://index.docker.io/v1/",
        "http://index.docker.io/v1/",
        "index.docker.io/v1/",
        "r.example.com",
        "https://r.example.com/v1/",
        "r.example.com:5000",
        "r.example.com/team",
        "localhost",
        "registry:5000",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    ] {
        finds(&dockercfg(key, "dTpw"), &[]);
    }
}

#[test]
fn auth_is_decoded_as_go_does() {
    // Line ends are skipped, and left-over bits are ignored.
    for auth in ["dTpw", "dTpwcR=="] {
        finds(&dockercfg("r.example.com", auth), &[]);
    }
    for auth in ["dT\\npw", "dTpw\\r\\n"] {
        finds(&dockercfg("r.example.com", auth), &[("backslash", WARNING)]);
    }
    for auth in ["dXNlcg==", "dTpwcA", "OnB3", "dTo=", "d Tpw"] {
        finds(&dockercfg("r.example.com", auth), &[("auth-not-user-password", ERROR)]);
    }
}

#[test]
fn tokens_count_with_the_type_docker_only() {
    for token in ["identitytoken", "registrytoken"] {
        finds(&docker(&format!("{{\"{token}\":\"t\"}}")), &[]);
        let entry = format!("{{\"r.example.com\":{{\"{token}\":\"t\"}}}}");
        let file = format!("ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={entry}\n");
        finds(&file, &[("auth-shape", ERROR)]);
    }
    // `docker login` at some registries writes `user:` and an identity token.
    let entry = "{\"r.example.com\":{\"auth\":\"dTo=\",\"identitytoken\":\"t\"}}";
    explains(
        &format!("ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={entry}\n"),
        "the agent does not read the token of registry 1",
        "use a user and a password",
    );
}

#[test]
fn entry_has_the_shape_of_its_type() {
    finds(&docker("{\"Username\":\"u\",\"PASSWORD\":\"p\"}"), &[]);
    finds(&docker("{\"username\":\"u\",\"password\":\"p\",\"email\":null,\"other\":1}"), &[]);
    for field in ["email", "ServerAddress", "auth", "registrytoken"] {
        let entry = format!("{{\"username\":\"u\",\"password\":\"p\",\"{field}\":1}}");
        finds(&docker(&entry), &[("auth-shape", ERROR)]);
    }
    for entry in ["{\"auth\":\"dTpw\"}", "{\"username\":\"u\"}", "\"dTpw\"", "[]", "null"] {
        finds(&docker(entry), &[("auth-shape", ERROR)]);
    }
}
