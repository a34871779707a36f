//! Parameter Store and Secrets Manager: GetParameter and GetSecretValue in AWS's JSON protocol, and
//! the ways in which they fail. Pure.
//!
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::sigv4::{self, Refusal};
use crate::state::CloudState;

/// What these two services do wrong until it is cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SecretFault {
    /// As AWS refuses: 400 and JSON.
    Denied,
    /// As moto refuses: 403 and XML.
    DeniedInXml,
    /// The secret may be read, and its key may not be used.
    KmsDenied,
    KmsDisabled,
    Throttled,
    ServerError,
    /// The answer never comes.
    Hang,
    /// A success without the value.
    NoValue,
    /// More than 1 MiB.
    Oversize,
}

/// A parameter's or a secret's versions, oldest first; their ids are numbers from 1.
pub(crate) type Versions = Vec<String>;

/// One answer of either service.
pub(crate) fn answer(state: &CloudState, request: &Request, now: SystemTime) -> Response {
    let target = request.header("x-amz-target").unwrap_or_default();
    let (scope, action) = match target {
        "AmazonSSM.GetParameter" => ("ssm", "ssm:GetParameter"),
        "secretsmanager.GetSecretValue" => ("secretsmanager", "secretsmanager:GetSecretValue"),
        _ => return error("UnknownOperationException", ""),
    };
    let region = match sigv4::check(request, scope, &state.credentials, now) {
        Ok(region) => region,
        Err(refusal) => return refused(&refusal),
    };
    if let Some(response) = state.secret_fault.and_then(|fault| failure(fault, state, action)) {
        return response;
    }
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let found = match scope {
        "ssm" => parameter(state, &asked),
        _ => secret(state, &asked, &region),
    };
    found.unwrap_or_else(|response| response)
}

fn parameter(state: &CloudState, asked: &Value) -> Result<Response, Response> {
    let (name, version) = match asked["Name"].as_str().unwrap_or_default().split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (asked["Name"].as_str().unwrap_or_default(), None),
    };
    let versions = state.parameters.get(name).ok_or_else(|| error("ParameterNotFound", ""))?;
    let number = version.map_or(Ok(versions.len()), str::parse).unwrap_or_default();
    let value = number.checked_sub(1).and_then(|at| versions.get(at));
    let missing = "Systems Manager could not find version of the parameter.";
    let value = value.ok_or_else(|| error("ParameterVersionNotFound", missing))?;
    // A SecureString that is not decrypted is its cipher text.
    let value = if asked["WithDecryption"] == true { value } else { "AQICAHh=" };
    let (name, kind) = (json!(name), "SecureString");
    let found = json!({"Name": name, "Type": kind, "Value": value, "Version": number});
    Ok(body(200, &json!({"Parameter": found})))
}

fn secret(state: &CloudState, asked: &Value, region: &str) -> Result<Response, Response> {
    let id = asked["SecretId"].as_str().unwrap_or_default();
    let name =
        id.split_once(":secret:").map_or(id, |(_, name)| &name[..name.len().saturating_sub(7)]);
    let missing = |what: &str| {
        let message = format!("Secrets Manager can't find the specified secret{what}.");
        error("ResourceNotFoundException", &message)
    };
    let versions = state.secrets.get(name).ok_or_else(|| missing(""))?;
    let number = match (asked["VersionId"].as_str(), asked["VersionStage"].as_str()) {
        (Some(id), _) => id.rsplit('-').next().and_then(|number| number.parse().ok()),
        (None, Some("AWSPREVIOUS")) => Some(versions.len() - 1),
        (None, None | Some("AWSCURRENT")) => Some(versions.len()),
        (None, Some(_)) => None,
    };
    let value = number.and_then(|number| versions.get(number.checked_sub(1)?));
    let (Some(number), Some(value)) = (number, value) else {
        return Err(missing(" value for the staging label or VersionId"));
    };
    let arn =
        format!("arn:aws:secretsmanager:{region}:{}:secret:{name}-AbCdEf", state.host.account_id);
    let version = format!("00000000-0000-4000-8000-{number:012}");
    Ok(body(200, &json!({"ARN": arn, "Name": name, "SecretString": value, "VersionId": version})))
}

fn failure(fault: SecretFault, state: &CloudState, action: &str) -> Option<Response> {
    let user = state.host.arn();
    let denied = format!(
        "User: {user} is not authorized to perform: {action} on resource: x because no identity-based policy allows the {action} action"
    );
    Some(match fault {
        SecretFault::Denied => error("AccessDeniedException", &denied),
        SecretFault::DeniedInXml => {
            let text = format!(
                "<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>{denied}</Message></Error></Errors></ErrorResponse>"
            );
            Response::new(403, "text/xml", text)
        }
        SecretFault::KmsDenied if action.starts_with("ssm") => error(
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
        ),
        SecretFault::KmsDenied => error("AccessDeniedException", "Access to KMS is not allowed"),
        SecretFault::KmsDisabled if action.starts_with("ssm") => {
            error("InvalidKeyId", "arn is disabled.")
        }
        SecretFault::KmsDisabled => error(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        ),
        SecretFault::Throttled => error("ThrottlingException", "Rate exceeded"),
        SecretFault::ServerError => body(500, &json!({"__type": "InternalServerError"})),
        SecretFault::Hang => Response::silent(),
        SecretFault::NoValue => body(200, &json!({"Parameter": {}})),
        SecretFault::Oversize => body(200, &json!({"SecretString": "#".repeat(1 << 20)})),
    })
}

fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::ExpiredToken(_) => {
            error("ExpiredTokenException", "The security token included in the request is expired")
        }
        Refusal::Skewed(at) => {
            error("InvalidSignatureException", &format!("Signature expired: {at} is now earlier"))
        }
        Refusal::Mismatch(_) => error(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        ),
        _ => error(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    }
}

fn error(code: &str, message: &str) -> Response {
    body(400, &json!({"__type": code, "message": message}))
}

fn body(status: u16, value: &Value) -> Response {
    Response::new(status, "application/x-amz-json-1.1", value.to_string())
}
