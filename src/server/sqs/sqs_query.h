#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

/// Requests of SQS's older protocol ("query"): Action=SendMessage&Version=2012-11-05&MessageBody=…, as a form or in the URL.
namespace mayfly::sqs {

struct QueryRequest {
  std::string action;
  std::string version;
  JsonObject input;  ///< as the JSON protocol has it
};

/// Reads the parameters of the URL's query and of the form together. Flattened lists and maps (`AttributeName.1`, `Attribute.1.Name`,
/// `Attribute.1.Value`, also without a number when there is only one) become members. At most 1,000 parameters, 6 levels deep.
/// Error: `aws.…`, as an answer of SQS.
Result<QueryRequest> parse_query(std::string_view url_query, std::string_view form);

}  // namespace mayfly::sqs
