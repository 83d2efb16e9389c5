#pragma once

#include "server/lambda/lambda_call.h"

/// The operations, one group a file.
namespace mayfly::lambda {

Task<Result<net::Response>> create_function(LambdaCall* call);
Task<Result<net::Response>> get_function(LambdaCall* call);
Task<Result<net::Response>> get_function_configuration(LambdaCall* call);
Task<Result<net::Response>> list_functions(LambdaCall* call);
Task<Result<net::Response>> update_function_code(LambdaCall* call);
Task<Result<net::Response>> update_function_configuration(LambdaCall* call);
Task<Result<net::Response>> delete_function(LambdaCall* call);
Task<Result<net::Response>> download_code(LambdaCall* call);

Task<Result<net::Response>> publish_version(LambdaCall* call);
Task<Result<net::Response>> list_versions(LambdaCall* call);
Task<Result<net::Response>> create_alias(LambdaCall* call);
Task<Result<net::Response>> get_alias(LambdaCall* call);
Task<Result<net::Response>> update_alias(LambdaCall* call);
Task<Result<net::Response>> delete_alias(LambdaCall* call);
Task<Result<net::Response>> list_aliases(LambdaCall* call);

Task<Result<net::Response>> invoke(LambdaCall* call);
Task<Result<net::Response>> invoke_async(LambdaCall* call);
Task<Result<net::Response>> invoke_stream(LambdaCall* call);

Task<Result<net::Response>> put_concurrency(LambdaCall* call);
Task<Result<net::Response>> get_concurrency(LambdaCall* call);
Task<Result<net::Response>> delete_concurrency(LambdaCall* call);
Task<Result<net::Response>> put_provisioned(LambdaCall* call);
Task<Result<net::Response>> get_provisioned(LambdaCall* call);
Task<Result<net::Response>> delete_provisioned(LambdaCall* call);
Task<Result<net::Response>> put_event_config(LambdaCall* call);
Task<Result<net::Response>> update_event_config(LambdaCall* call);
Task<Result<net::Response>> get_event_config(LambdaCall* call);
Task<Result<net::Response>> delete_event_config(LambdaCall* call);
Task<Result<net::Response>> list_event_configs(LambdaCall* call);

Task<Result<net::Response>> create_url(LambdaCall* call);
Task<Result<net::Response>> get_url(LambdaCall* call);
Task<Result<net::Response>> update_url(LambdaCall* call);
Task<Result<net::Response>> delete_url(LambdaCall* call);
Task<Result<net::Response>> list_urls(LambdaCall* call);
/// A request to /lambda-url/ID/…; decides about the caller's right itself.
Task<Result<net::Response>> serve_url(LambdaCall* call);

Task<Result<net::Response>> tag_resource(LambdaCall* call);
Task<Result<net::Response>> untag_resource(LambdaCall* call);
Task<Result<net::Response>> list_tags(LambdaCall* call);
Task<Result<net::Response>> get_account_settings(LambdaCall* call);
Task<Result<net::Response>> get_recursion_config(LambdaCall* call);
Task<Result<net::Response>> get_runtime_management(LambdaCall* call);
Task<Result<net::Response>> get_code_signing(LambdaCall* call);

Task<Result<net::Response>> checkpoint(LambdaCall* call);
Task<Result<net::Response>> execution_state(LambdaCall* call);
Task<Result<net::Response>> get_execution(LambdaCall* call);
Task<Result<net::Response>> execution_history(LambdaCall* call);
Task<Result<net::Response>> list_executions(LambdaCall* call);
Task<Result<net::Response>> stop_execution(LambdaCall* call);
Task<Result<net::Response>> callback_succeed(LambdaCall* call);
Task<Result<net::Response>> callback_fail(LambdaCall* call);
Task<Result<net::Response>> callback_heartbeat(LambdaCall* call);

}  // namespace mayfly::lambda
