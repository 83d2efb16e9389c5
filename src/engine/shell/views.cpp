#include "engine/engine.h"

namespace mayfly::engine {

std::vector<std::string> view_sql() {
  const auto field = [](std::string name) { return "json_extract(value,'$." + name + "')"; };
  const auto time = [&](std::string name) { return "strftime('%Y-%m-%dT%H:%M:%fZ'," + field(name) + "/1000.0,'unixepoch')"; };
  return {
      "CREATE VIEW runs AS SELECT " + field("id") + " AS id," + field("program") + " AS agent," + field("version") + " AS version," +
          field("session") + " AS session," + field("status") + " AS status," + field("wait.kind") + " AS waiting_for," + time("created") +
          " AS created," + time("ended") + " AS ended," + field("summary.input_tokens") + " AS input_tokens," +
          field("summary.output_tokens") + " AS output_tokens," + field("summary.nano_usd") + "/1e9 AS usd," + field("result") +
          " AS result," + field("error.message") + " AS error FROM kv WHERE substr(key,5,3)='/x/'",
      "CREATE VIEW operations AS SELECT substr(key,8,30) AS run," + field("id") + " AS id," + field("type") + " AS type," + field("kind") +
          " AS kind," + field("name") + " AS name," + field("status") + " AS status," + field("attempts") + " AS attempts," +
          time("started") + " AS started," + time("ended") + " AS ended," + field("ended") + "-" + field("started") + " AS duration_ms," +
          field("meta") + " AS meta," + field("result") + " AS result," + field("error.message") +
          " AS error FROM kv WHERE substr(key,5,3)='/o/'",
      "CREATE VIEW sessions AS SELECT " + field("id") + " AS id," + field("program") + " AS agent," + field("running") + " AS running," +
          field("waiting") + " AS waiting," + field("runs") + " AS runs," + time("created") + " AS created," + time("updated") +
          " AS updated FROM kv WHERE substr(key,5,3)='/s/'",
  };
}

}  // namespace mayfly::engine
