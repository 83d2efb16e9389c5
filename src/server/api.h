#pragma once

#include "server/router.h"

/// The routes of Mayfly's own API, one function a file.
namespace mayfly {

void add_agent_routes(Router& router);
void add_run_routes(Router& router);
void add_event_routes(Router& router);
void add_key_routes(Router& router);
void add_function_routes(Router& router);
void add_queue_routes(Router& router);
void add_schedule_routes(Router& router);
void add_trigger_routes(Router& router);
void add_workflow_routes(Router& router);
void add_workspace_routes(Router& router);
/// Files of workspaces as bytes, and the links that work without a key: /dl, /ul, /s, /claim.
void add_workspace_file_routes(Router& router);
/// Bodies of those that stream. Nothing for other paths.
std::optional<net::BodyPolicy> workspace_body_policy(const net::Request& head);
/// Health, metrics and the documents.
void add_ops_routes(Router& router);

/// Checks that a spec can run here (its models' providers exist) before anything is stored. Error: `agent.invalid`.
Result<void> check_deployable(const llm::LlmGateway& gateway, const agent::AgentSpec& spec);

}  // namespace mayfly
