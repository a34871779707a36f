use super::*;
use crate::error::tests::examples;

impl Error {
    /// For the test over all errors.
    pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
        let action = "iam:GetRole";
        let refused = Error::Refused {
            action,
            code: "InvalidClientTokenId".into(),
            message: "unknown key".into(),
        };
        examples!(Error {
            Error::NoCredentials(_) => NoRole [
                Error::NoCredentials(CredentialsError::not_loaded("no profile")),
            ],
            Error::Refused { .. } => NoRole [refused],
            Error::NoAnswer { .. } => SourceUnreachable [
                Error::NoAnswer { action, source: "connection refused".into() },
            ],
            Error::Unreadable { .. } => SourceUnreachable [
                Error::Unreadable { action, why: "it has no role".into() },
            ],
            Error::Timeout(_) => SourceUnreachable [Error::Timeout(Duration::from_secs(30))],
        })
    }
}
