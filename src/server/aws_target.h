#pragma once

#include "server/router.h"

namespace mayfly {

/// The APIs of AWS that share one path: `POST /` and the URL of a queue, told apart by X-Amz-Target (`AmazonSQS.SendMessage`,
/// `AWSStepFunctions.StartExecution`) or by Action (SQS's older protocol: a form or a URL). Requests are signed with an access key of an
/// API key, or bear the key; errors have the shape of the protocol. Any region is fine, the account is 000000000000.
void add_aws_routes(Router& router);

}  // namespace mayfly
