#include "trigger/event.h"

#include <gtest/gtest.h>

#include "trigger/http/attribute_rules.h"

namespace mayfly::trigger {
namespace {

constexpr std::string_view kMinimal = R"({"specversion":"1.0","id":"1","source":"/a","type":"t"})";

Json with(std::string_view name, Json value) {
  Json out = *parse_json(kMinimal);
  out.as_object()[name] = std::move(value);
  return out;
}
std::string refusal(const Json& value) {
  const auto event = event_from_json(value);
  EXPECT_FALSE(event) << to_text(value);
  if (!event) EXPECT_EQ(event.error().code, "event.invalid");
  return event ? "" : event.error().message;
}
net::Headers binary(std::initializer_list<std::pair<std::string, std::string>> more = {}) {
  net::Headers out{{"ce-specversion", "1.0"}, {"CE-ID", "1"}, {"ce-source", "/a"}, {"ce-type", "t"}};
  for (const auto& [name, value] : more) out.add(name, value);
  return out;
}

TEST(Event, ReadsTheSpecificationsExamples) {
  const auto bytes = event_from_json(*parse_json(R"({"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"A234-1234-1234",
      "time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,
      "datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"AAEC"})"));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(*bytes->data_bytes, std::string("\0\1\2", 3));
  EXPECT_EQ(bytes->extensions.at("comexampleothervalue"), Json(5));
  EXPECT_EQ(to_rfc3339(*bytes->time), "2018-04-05T17:31:00.000Z");
  const auto xml = event_from_json(*parse_json(R"({"specversion":"1.0","type":"t","source":"/m","id":"B","unsetextension":null,"subject":null,
      "datacontenttype":"application/xml","data":"<much wow=\"xml\"/>"})"));
  ASSERT_TRUE(xml);
  EXPECT_EQ(*xml->data_bytes, "<much wow=\"xml\"/>");
  EXPECT_TRUE(xml->extensions.empty());
  const auto text = event_from_json(with("data", "I'm just a string"));
  ASSERT_TRUE(text);
  EXPECT_EQ(text->data, Json("I'm just a string"));
  EXPECT_EQ(text->data_content_type, "application/json");
}

TEST(Event, ItsJsonFormReadsBackTheSame) {
  for (const std::string_view given :
       {R"({"specversion":"1.0","id":"1","source":"urn:a:b","type":"t","subject":"s","time":"2026-11-23T10:00:00.500Z","datacontenttype":"application/json",
           "dataschema":"https://example.com/s","yes":true,"number":-7,"data":{"a":[1,2]}})",
        R"({"specversion":"1.0","id":"1","source":"a/b?c#d","type":"t","datacontenttype":"text/plain","data":"ä"})",
        R"({"specversion":"1.0","id":"1","source":"//h:80/x","type":"t","data_base64":"AA=="})"}) {
    const auto event = event_from_json(*parse_json(given));
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(to_canonical_text(to_json(*event)), to_canonical_text(*parse_json(given)));
  }
}

TEST(Event, RefusesWhatIsNoEventAndSaysWhichAttribute) {
  for (const std::string_view name : {"specversion", "id", "source", "type"}) {
    Json value = *parse_json(kMinimal);
    value.as_object().erase(name);
    EXPECT_NE(refusal(value).find("\"" + std::string(name) + "\""), std::string::npos) << name;
    EXPECT_NE(refusal(with(name, "")).find("\"" + std::string(name) + "\""), std::string::npos) << name;
    refusal(with(name, 1));
  }
  refusal(with("specversion", "0.3"));
  refusal(with("specversion", "2.0"));
  refusal(with("time", "yesterday"));
  refusal(with("time", "2026-11-23"));
  refusal(with("source", "has space"));
  refusal(with("source", "http://[::1"));
  refusal(with("source", "1a:b"));
  refusal(with("source", "%zz"));
  refusal(with("source", "ü"));
  refusal(with("dataschema", "/relative"));
  refusal(with("datacontenttype", "json"));
  refusal(with("subject", "a\nb"));
  refusal(with("Upper", "x"));
  refusal(with("under_score", "x"));
  refusal(with("averyverylongattributename", "x"));
  refusal(with("fraction", 1.5));
  refusal(with("toolarge", 2147483648));
  refusal(with("object", JsonObject()));
  refusal(with("data_base64", "no base64!"));
  refusal(with("data_base64", "AA==\n\n\n\n"));
  refusal(with("id", Json(std::string_view(std::string(5'000, 'x')))));
  refusal(Json("text"));
  Json both = with("data", 1);
  both.as_object()["data_base64"] = "AA==";
  refusal(both);
  Json number = with("data", 1);
  number.as_object()["datacontenttype"] = "text/plain";
  refusal(number);
  EXPECT_EQ(event_from_json(with("data", Json(std::string_view(std::string(kEventBytesMax * 2, 'x'))))).error().code, "event.too_large");
}

TEST(Event, AttributesHoldNoControlCharactersOrNoncharacters) {
  EXPECT_TRUE(is_attribute_text("Euro \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_FALSE(is_attribute_text("\x7f"));
  EXPECT_FALSE(is_attribute_text("\xC2\x85"));
  EXPECT_TRUE(is_attribute_text("\xC2\xA0"));
  EXPECT_FALSE(is_attribute_text("\xEF\xBF\xBF"));
  EXPECT_FALSE(is_attribute_text("\xEF\xB7\x90"));
  EXPECT_FALSE(is_attribute_text("\xF0\x9F\xBF\xBE"));
  EXPECT_FALSE(is_attribute_text("\xC0\xA0"));
}

TEST(EventHttp, BinaryModeDecodesHeadersAsTheBindingSays) {
  auto headers = binary({{"ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"}, {"ce-quoted", "\"a \\\"b\\\" %41\""}, {"content-type", "application/json; charset=utf-8"}});
  const auto events = events_from_http(headers, R"({"a":1})");
  ASSERT_TRUE(events) << events.error().message;
  ASSERT_EQ(events->size(), 1U);
  EXPECT_EQ(events->front().subject, "Euro \xE2\x82\xAC \xF0\x9F\x98\x80");
  EXPECT_EQ(events->front().extensions.at("quoted"), Json("a \"b\" A"));
  EXPECT_EQ(events->front().data.at("a"), Json(1));
  for (const std::string bad : {"%C0%A0", "%4", "%zz", "\"open", "\"a\"b\""}) EXPECT_FALSE(events_from_http(binary({{"ce-subject", bad}}), "")) << bad;
  EXPECT_FALSE(events_from_http(binary({{"ce-datacontenttype", "text/plain"}}), ""));
  EXPECT_FALSE(events_from_http(binary({{"ce-id", "2"}}), ""));
  EXPECT_FALSE(events_from_http(binary({{"content-type", "application/json"}}), "{"));
  EXPECT_FALSE(events_from_http({{"content-type", "application/json"}}, "{}"));
  const auto bytes = events_from_http(binary(), std::string("\0\xff", 2));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes->front().data_bytes, std::string("\0\xff", 2));
}

TEST(EventHttp, StructuredAndBatchModes) {
  const net::Headers structured{{"content-type", "application/cloudevents+json; charset=UTF-8"}}, batch{{"content-type", "application/cloudevents-batch+json"}};
  EXPECT_TRUE(events_from_http(structured, kMinimal));
  EXPECT_EQ(events_from_http(structured, "[]").error().code, "event.invalid");
  EXPECT_TRUE(events_from_http(batch, "[]")->empty());
  EXPECT_EQ(events_from_http(batch, "[" + std::string(kMinimal) + "," + std::string(kMinimal) + "]")->size(), 2U);
  EXPECT_NE(events_from_http(batch, "[" + std::string(kMinimal) + ",{}]").error().message.find("event 1 "), std::string::npos);
  EXPECT_EQ(events_from_http({{"content-type", "application/cloudevents+avro"}}, "x").error().code, "event.unsupported_media_type");
  EXPECT_EQ(events_from_http({{"content-type", "application/cloudevents+json; charset=utf-16"}}, kMinimal).error().code, "event.unsupported_media_type");
  std::string many = "[";
  for (std::size_t i = 0; i <= kEventBatchMax; ++i) many += (i ? "," : "") + std::string(kMinimal);
  EXPECT_EQ(events_from_http(batch, many + "]").error().code, "event.too_large");
  EXPECT_EQ(events_from_http(binary(), std::string(kEventBytesMax + 1, 'x')).error().code, "event.too_large");
}

TEST(EventHttp, WhatIsWrittenReadsBackTheSameInBothModes) {
  Event event{.id = "a b\"%", .source = "/s", .type = "t", .subject = "ä€😀"};
  event.time = from_unix_ms(1'700'000'000'123);
  event.data_content_type = "application/json";
  event.data = JsonObject{{"n", 1}};
  event.extensions = {{"flag", true}, {"count", 5}};
  const HttpContent written = to_binary_http(event), whole = to_structured_http(event);
  EXPECT_EQ(written.headers.get("ce-id"), "a%20b%22%25");
  EXPECT_EQ(written.headers.get("ce-subject"), "%C3%A4%E2%82%AC%F0%9F%98%80");
  EXPECT_EQ(written.headers.get("ce-flag"), "true");
  const auto from_binary = events_from_http(written.headers, written.body), from_structured = events_from_http(whole.headers, whole.body);
  ASSERT_TRUE(from_binary && from_structured);
  EXPECT_EQ(to_json(from_structured->front()), to_json(event));
  event.extensions = {{"flag", "true"}, {"count", "5"}};  // headers are texts
  EXPECT_EQ(to_json(from_binary->front()), to_json(event));
}

}  // namespace
}  // namespace mayfly::trigger
