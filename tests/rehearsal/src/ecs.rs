//! ECS and ECR as far as `ecs-bootstrap doctor` asks them: the two actions that it tries. Pure.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::sigv4;
use crate::state::CloudState;

/// One answer of ECS or ECR, in AWS's JSON protocol, version 1.1.
pub(crate) fn answer(state: &CloudState, request: &Request, now: SystemTime) -> Response {
    let target = request.header("x-amz-target").unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default();
    let service = if action == "GetAuthorizationToken" { "ecr" } else { "ecs" };
    if sigv4::check(request, service, &state.credentials, now).is_err() {
        let message = "The security token included in the request is invalid.";
        return body(400, &json!({"__type": "UnrecognizedClientException", "message": message}));
    }
    let endpoint =
        |letter| format!("https://ecs-{letter}-1.{}.{}/", state.host.region, state.host.domain);
    match action {
        "DiscoverPollEndpoint" => {
            let names = json!({"endpoint": endpoint('a'), "telemetryEndpoint": endpoint('t')});
            body(200, &names)
        }
        "GetAuthorizationToken" => body(200, &json!({"authorizationData": []})),
        _ => body(400, &json!({"__type": "UnknownOperationException"})),
    }
}

fn body(status: u16, value: &Value) -> Response {
    Response::new(status, "application/x-amz-json-1.1", value.to_string())
}
