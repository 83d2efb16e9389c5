#include "cli/project_deploy.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "cli/project_json.h"
#include "function/code_package.h"

namespace mayfly::cli {
namespace {

constexpr Millis kUploadTimeout{10 * 60'000};

struct Packed {
  const agent::FunctionSpec* spec;
  function::CodePackage code;
};

Result<std::vector<Packed>> pack(const Env& env, const agent::Project& project) {
  std::vector<Packed> out;
  for (const agent::FunctionSpec& spec : project.functions) {
    auto code = function::pack_folder(spec.code_folder);
    if (!code) return fail({code.error().code, fmt::format("function {}: {}", spec.config.name, code.error().message), code.error().retry});
    env.terminal.note(fmt::format("packed {}: {} ({}), {:.1f} KiB", spec.config.name, spec.config.handler, spec.config.runtime,
                                  static_cast<double>(code->zip.size()) / 1024));
    out.push_back({&spec, *std::move(code)});
  }
  return out;
}

}  // namespace

Task<Result<Json>> deploy_to_server(Env& env, const agent::Project& project) {
  auto packed = pack(env, project);
  if (!packed) co_return fail(packed.error());
  const Json body = deploy_body(project);
  JsonArray functions;
  if (!packed->empty()) {
    JsonObject all = body.get_object();
    JsonObject definitions;
    for (const Packed& each : *packed) definitions[each.spec->config.name] = agent::to_json(*each.spec, agent::Secrets::Shown);
    all["functions"] = std::move(definitions);
    const auto checked = co_await env.api.post("/v1/deploy?check=1", std::move(all));
    if (!checked) co_return fail(checked.error());
  }
  for (Packed& each : *packed) {
    JsonObject upload = agent::to_json(*each.spec, agent::Secrets::Shown);
    upload["zip"] = to_base64(each.code.zip);
    each.code.zip.clear();
    const auto text = co_await env.api.text("PUT", path_of({"v1", "functions", each.spec->config.name}), to_text(upload),
                                            {{"Content-Type", "application/json"}}, kUploadTimeout);
    if (!text)
      co_return fail({text.error().code, fmt::format("function {}: {}", each.spec->config.name, text.error().message), text.error().retry});
    if (auto answer = parse_json(*text)) functions.push_back(*std::move(answer));
  }
  JsonObject out{{"agents", JsonArray()}, {"functions", std::move(functions)}};
  if (!project.agents.empty() || !project.providers.empty() || !project.resources.empty()) {
    const auto answer = co_await env.api.post("/v1/deploy", body);
    if (!answer) co_return fail(answer.error());
    out["agents"] = items_of(*answer, "agents");
    for (const auto& [kind, definitions] : project.resources) out[kind] = items_of(*answer, kind);
  }
  co_return out;
}

}  // namespace mayfly::cli
