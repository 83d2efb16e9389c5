#include <map>
#include <set>

#include "server/api_events.h"
#include "server/server_test_support.h"

namespace mayfly {
namespace {

/// What a reader that reconnects knows: every durable event once and in order, texts without gap or repeat.
struct Collected {
  std::vector<std::string> names;
  std::vector<std::int64_t> numbers;
  std::map<std::int64_t, std::string> texts;   ///< by operation
  std::map<std::int64_t, std::string> results;
  int resumed_texts = 0;                       ///< deltas that continue a text of an earlier connection

  void add(const StreamReader& reader) {
    bool first = true;
    for (const auto& event : reader.events) {
      const JsonObject data = StreamReader::data_of(event);
      if (event.event == "delta") {
        std::string& text = texts[get_int(data, "operation")];
        if (get_bool(data, "restart")) text.clear();
        EXPECT_EQ(static_cast<std::size_t>(get_int(data, "offset")), text.size()) << event.data;
        if (first && !text.empty()) ++resumed_texts;
        text += get_string(data, "text");
      } else {
        names.push_back(event.event);
        numbers.push_back(get_int(data, "number"));
        if (event.event == "operation.ended" && get(data, "result")) results[get_int(data, "id")] = to_text(*get(data, "result"));
      }
      first = false;
    }
  }
  void check() const {
    ASSERT_FALSE(names.empty());
    EXPECT_EQ(names.front(), "run.started");
    EXPECT_EQ(names.back(), "run.ended");
    for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], static_cast<std::int64_t>(i + 1));
  }
};

TEST_F(ServerTest, StreamsARunFromTheInvocation) {
  start();
  auto reader = std::make_shared<StreamReader>();
  net::Headers headers{{"Accept", "text/event-stream"}};
  run(read_stream(reader, request("POST", "/v1/agents/talker/runs", R"({"input": "talk"})", headers)));
  EXPECT_EQ(reader->status, 200);
  EXPECT_TRUE(reader->ended);
  Collected all;
  all.add(*reader);
  all.check();
  std::set<std::string> said;
  for (const auto& [operation, text] : all.texts) said.insert(text);
  EXPECT_TRUE(said.contains("First I take a note, which needs some words to be said."));
  EXPECT_TRUE(said.contains("Then I say the rest of it, word by word, until all is said and done."));
  const JsonObject end = StreamReader::data_of(reader->events.back());
  EXPECT_EQ(get_string(end, "status"), "SUCCEEDED");
  EXPECT_EQ(get_string(*get_object(end, "result"), "text"), "Then I say the rest of it, word by word, until all is said and done.");
}

TEST_F(ServerTest, AReaderThatComesBackAfterAnyEventMissesNothing) {
  start();
  int resumed_texts = 0;
  for (std::size_t after = 1; after < 24; ++after) {
    const std::string run = start_run("talker", R"({"input": "talk"})");
    Collected all;
    const auto first = stream("/v1/runs/" + run + "/events", {}, after);
    all.add(*first);
    if (!first->ended) all.add(*stream("/v1/runs/" + run + "/events", first->last_id()));
    all.check();
    resumed_texts += all.resumed_texts;
    for (const auto& [operation, text] : all.texts)
      EXPECT_NE(all.results[operation].find(text), std::string::npos) << "what was streamed is not what was said: " << text;
  }
  EXPECT_GT(resumed_texts, 3) << "the test did not reconnect in the middle of a text";
}

TEST_F(ServerTest, AnEndedRunIsReplayedFromAnyNumber) {
  start();
  const std::string run = post("/v1/agents/talker/runs?wait=20", R"({"input": "talk"})").text("run");
  const auto whole = stream("/v1/runs/" + run + "/events");
  ASSERT_GE(whole->events.size(), 8u);
  for (std::size_t at = 0; at + 1 < whole->events.size(); ++at) {
    const auto rest = stream("/v1/runs/" + run + "/events?after=" + whole->events[at].id);
    ASSERT_EQ(rest->events.size(), whole->events.size() - at - 1);
    EXPECT_EQ(rest->events.front().data, whole->events[at + 1].data);
  }
  const auto nothing = stream("/v1/runs/" + run + "/events", whole->events.back().id);
  EXPECT_EQ(nothing->status, 204);
  EXPECT_TRUE(nothing->events.empty());
}

TEST_F(ServerTest, ADisconnectDoesNotCancelTheRun) {
  start();
  auto reader = std::make_shared<StreamReader>();
  reader->stop_after = 3;
  run(read_stream(reader, request("POST", "/v1/agents/talker/runs", R"({"input": "talk"})", {{"Accept", "text/event-stream"}})));
  EXPECT_FALSE(reader->ended);
  const std::string id = get_string(StreamReader::data_of(reader->events.front()), "run");
  EXPECT_EQ(get("/v1/runs/" + id + "?wait=20").text("status"), "SUCCEEDED");
}

TEST_F(ServerTest, StreamsOfUnknownRunsAreRefused) {
  start();
  const HttpAnswer answer = get("/v1/runs/run_none/events");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.code(), "run.not_found");
}

TEST_F(ServerTest, AStopEndsStreamsAndWaitsSoThatReadersComeBack) {
  start();
  const std::string id = start_waiting_run("ann");
  auto reader = std::make_shared<StreamReader>();
  std::optional<Result<net::ClientResponse>> waited;
  TaskGroup group(io_.get_executor());
  group.spawn(read_stream(reader, request("GET", "/v1/runs/" + id + "/events", {}, {})));
  group.spawn(keep_result(client_->send(request("GET", "/v1/runs/" + id + "?wait=600", {}, {})), &waited));
  while (reader->events.size() < 4 && io_.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  group.spawn(app_->stop());
  drive(group);
  EXPECT_TRUE(reader->ended);
  EXPECT_NE(reader->events.back().event, "run.ended");
  ASSERT_TRUE(waited && *waited) << "the wait must get an answer";
  EXPECT_NE((*waited)->body.find("\"RUNNING\""), std::string::npos);
  stop();
  start();
  ASSERT_EQ(post("/v1/runs/" + id + "/answer?wait=20", R"({"decision": "yes"})").status, 200);
  const auto rest = stream("/v1/runs/" + id + "/events", reader->last_id());
  ASSERT_FALSE(rest->events.empty());
  EXPECT_EQ(rest->events.back().event, "run.ended");
  EXPECT_EQ(get_int(StreamReader::data_of(rest->events.front()), "number"),
            get_int(StreamReader::data_of(reader->events.back()), "number") + 1);
}

TEST(StreamCursorText, RoundTripsAndForgivesNonsense) {
  const StreamCursor cursor{7, {{3, "text", 2, 120}, {4, "reasoning", 1, 5}}};
  const StreamCursor again = parse_cursor(to_string(cursor));
  EXPECT_EQ(to_string(cursor), "7:3:120:2:text;4:5:1:reasoning");
  EXPECT_EQ(to_string(again), to_string(cursor));
  EXPECT_EQ(parse_cursor("12").number, 12);
  EXPECT_EQ(parse_cursor("12:3:40").texts.front().offset, 40u);
  EXPECT_EQ(parse_cursor("12:3:40").texts.front().channel, "text");
  for (const char* text : {"", ":", "x", "-4", "99999999999999999999", "1:2", "1:a:b:c:d;;;", "1:-1:-1"}) {
    const StreamCursor read = parse_cursor(text);
    EXPECT_GE(read.number, 0) << text;
    EXPECT_TRUE(read.texts.empty()) << text;
  }
  EXPECT_EQ(parse_cursor(std::string(10'000, '1')).number, 0);
}

}  // namespace
}  // namespace mayfly
