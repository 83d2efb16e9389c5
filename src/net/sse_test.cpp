#include "net/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace mayfly::net {
namespace {

using Events = std::vector<std::string>;

std::string show(const SseEvent& event) { return "[" + event.event + "|" + event.data + "|" + event.id + "]"; }

Events parse(const std::vector<std::string_view>& pieces) {
  Events out;
  SseParser parser([&](SseEvent event) { out.push_back(show(event)); });
  for (const auto piece : pieces) EXPECT_TRUE(parser.feed(piece));
  return out;
}

struct Row {
  std::string name, text;
  Events events;
};

const std::vector<Row>& table() {
  static const std::vector<Row> rows = {
      {"one line", "data: hello\n\n", {"[|hello|]"}},
      {"lines join", "data: YHOO\ndata: +2\ndata: 10\n\n", {"[|YHOO\n+2\n10|]"}},
      {"one space goes, a second stays", "data:test\n\ndata:  test\n\n", {"[|test|]", "[| test|]"}},
      {"empty data is an event", "data\n\ndata\ndata\n\ndata:", {"[||]", "[|\n|]"}},
      {"comments and unknown fields", ": note\ndata: x\nfoo: bar\nretry: 10\n\n", {"[|x|]"}},
      {"type and id", "event: add\nid: 7\ndata: 1\n\ndata: 2\n\n", {"[add|1|7]", "[|2|]"}},
      {"type without data is dropped", "event: add\n\ndata: 2\n\n", {"[|2|]"}},
      {"an id with NUL is ignored", std::string("id: a\0b\ndata: 1\n\n", 17), {"[|1|]"}},
      {"CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", {"[|a\nb|]", "[|c|]"}},
      {"CR", "data: a\rdata: b\r\rdata: c\r\r", {"[|a\nb|]", "[|c|]"}},
      {"byte order mark once", "\xEF\xBB\xBF" "data: a\n\n\xEF\xBB\xBF" "data: b\n\n", {"[|a|]"}},
      {"the last line counts", "data: a\nevent: x\nevent: y\n\n", {"[y|a|]"}},
      {"unfinished events are dropped", "data: a\n\ndata: b\n", {"[|a|]"}},
      {"colons in values", "data: {\"a\": 1}\n\n", {"[|{\"a\": 1}|]"}},
      {"only empty lines", "\n\n\r\n\r", {}},
  };
  return rows;
}

TEST(SseParser, FollowsTheStandardInEveryChunking) {
  for (const auto& row : table()) {
    const std::string_view text = row.text;
    EXPECT_EQ(parse({text}), row.events) << row.name;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      EXPECT_EQ(parse({text.substr(0, i), text.substr(i)}), row.events) << row.name << " split at " << i;
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
    EXPECT_EQ(parse(bytes), row.events) << row.name << " byte by byte";
  }
}

TEST(SseParser, RefusesEndlessLinesAndEvents) {
  int events = 0;
  SseParser line([&](SseEvent) { ++events; }, 100);
  EXPECT_TRUE(line.feed("data: " + std::string(50, 'x')));
  const auto too_large = line.feed(std::string(50, 'x'));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().code, "sse.too_large");
  EXPECT_FALSE(line.feed("\n\n"));
  SseParser many([&](SseEvent) { ++events; }, 100);
  Result<void> result;
  for (int i = 0; i < 50 && result; ++i) result = many.feed("data: abc\n");
  EXPECT_FALSE(result);
  EXPECT_EQ(events, 0);
  SseParser fine([&](SseEvent) { ++events; }, 100);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(fine.feed("data: abc\n\n"));
  EXPECT_EQ(events, 50);
}

TEST(ToSse, IsReadBackAsItWas) {
  for (const SseEvent& event :
       {SseEvent{"", "plain", ""}, SseEvent{"add", "two\nlines\n", "9"}, SseEvent{"", "", ""}, SseEvent{"x", " lead", "a:b"}}) {
    EXPECT_EQ(parse({to_sse(event)}), Events{show(event)});
  }
  EXPECT_EQ(parse({to_sse({"a\nb", "c\r\nd\re", ""})}), Events{"[ab|c\nd\ne|]"}) << "nobody can smuggle a field in";
}

}  // namespace
}  // namespace mayfly::net
