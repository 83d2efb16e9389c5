#include "net/event_stream.h"

#include <gtest/gtest.h>

#include "base/id.h"

namespace mayfly::net {
namespace {

// Made from the specification by an independent program; botocore decodes each of them into what the tests say.
constexpr std::string_view kChunk =
    "0000006f0000005af5fe871f0b3a6576656e742d7479706507000c5061796c6f61644368756e6b0d3a636f6e74656e742d74797065070018617070"
    "6c69636174696f6e2f6f637465742d73747265616d0d3a6d6573736167652d747970650700056576656e7468656c6c6f29e71260";
constexpr std::string_view kComplete =
    "000000a600000054f64320b20b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a636f6e74656e742d7479706507001061"
    "70706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b224572726f72436f6465223a22556e68616e646c65"
    "64222c224572726f7244657461696c73223a22626f6f6d222c224c6f67526573756c74223a226247396e227d7264bcf6";
constexpr std::string_view kCompleteWithoutError =
    "00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a636f6e74656e742d7479706507001061"
    "70706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b7d7006d467";
constexpr std::string_view kException =
    "000000800000005e581713080f3a657863657074696f6e2d7479706507001053657276696365457863657074696f6e0d3a636f6e74656e742d7479"
    "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d657373616765223a22"
    "6c6f7374227dfc24de57";
constexpr std::string_view kError =
    "0000005b0000004bcbefb9ab0b3a6572726f722d636f646507001053657276696365457863657074696f6e0e3a6572726f722d6d65737361676507"
    "00046c6f73740d3a6d6573736167652d747970650700056572726f726b56a39e";
constexpr std::string_view kEveryType =
    "000000650000004ea5944bc3017400016601016202f9017303fed401690400011170016c05fffffffed5fa0e00017906000300ff01016e070002c3"
    "a9016408000001a1ee565e000175090102030405060708090a0b0c0d0e0f107b2261223a317d9caefa4b";

std::string from_hex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

std::string hex_of(const EventStreamMessage& message) {
  const auto bytes = encode_event_stream(message);
  return bytes ? to_hex(*bytes) : bytes.error().message;
}

TEST(EventStream, EncodesLambdasEvents) {
  EXPECT_EQ(hex_of(payload_chunk("hello")), kChunk);
  EXPECT_EQ(hex_of(invoke_complete({.error_code = "Unhandled", .error_details = "boom", .log_result = "bG9n"})), kComplete);
  EXPECT_EQ(hex_of(invoke_complete({})), kCompleteWithoutError);
  EXPECT_EQ(hex_of(event_stream_exception("ServiceException", "lost")), kException);
  EXPECT_EQ(hex_of(event_stream_error("ServiceException", "lost")), kError);
  EXPECT_TRUE(encode_event_stream(event_stream_error("ServiceException", std::string(100'000, 'x'))));
}

TEST(EventStream, DecodesAnyPieces) {
  const std::string stream = from_hex(kChunk) + from_hex(kComplete) + from_hex(kException);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
    EventStreamDecoder decoder;
    std::vector<EventStreamMessage> seen;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      decoder.feed(std::string_view(stream).substr(at, step));
      for (;;) {
        auto message = decoder.next();
        ASSERT_TRUE(message) << message.error().message;
        if (!*message) break;
        seen.push_back(std::move(**message));
      }
    }
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0], payload_chunk("hello"));
    EXPECT_EQ(seen[1].find(":event-type"), "InvokeComplete");
    EXPECT_EQ(seen[2].find(":exception-type"), "ServiceException");
    EXPECT_EQ(seen[2].payload, "{\"message\":\"lost\"}");
    EXPECT_TRUE(decoder.is_at_boundary());
  }
}

TEST(EventStream, ReadsEveryTypeOfHeader) {
  EventStreamDecoder decoder;
  decoder.feed(from_hex(kEveryType));
  const auto message = decoder.next();
  ASSERT_TRUE(message && *message);
  const std::vector<std::pair<std::string, std::string>> wanted{{"t", "true"},
                                                                {"f", "false"},
                                                                {"b", "-7"},
                                                                {"s", "-300"},
                                                                {"i", "70000"},
                                                                {"l", "-5000000000"},
                                                                {"y", std::string("\0\xff\x01", 3)},
                                                                {"n", "\xc3\xa9"},
                                                                {"d", "1795000000000"},
                                                                {"u", "01020304-0506-0708-090a-0b0c0d0e0f10"}};
  EXPECT_EQ((*message)->headers, wanted);
  EXPECT_EQ((*message)->payload, "{\"a\":1}");
}

TEST(EventStream, NoticesEveryDamagedByte) {
  const std::string good = from_hex(kChunk);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EventStreamDecoder decoder;
    decoder.feed(bad);
    const auto message = decoder.next();
    ASSERT_FALSE(message) << "byte " << at;
    EXPECT_EQ(message.error().code, "event_stream.checksum");
    decoder.feed(good);
    EXPECT_FALSE(decoder.next()) << "a damaged stream stays damaged";
  }
}

TEST(EventStream, HasLimits) {
  EventStreamDecoder decoder({.payload_bytes_max = 4});
  decoder.feed(from_hex(kChunk).substr(0, 12));
  const auto message = decoder.next();
  ASSERT_FALSE(message) << "refused before the payload is collected";
  EXPECT_EQ(message.error().code, "event_stream.too_large");
  EXPECT_EQ(encode_event_stream({.headers = {{"a", std::string(40'000, 'x')}}}).error().code, "event_stream.too_large");
  EXPECT_EQ(encode_event_stream({.headers = {{"a", "1"}, {"a", "2"}}}).error().code, "event_stream.invalid");
  EXPECT_EQ(encode_event_stream({.headers = {{std::string(256, 'n'), "1"}}}).error().code, "event_stream.invalid");
  EXPECT_EQ(encode_event_stream(payload_chunk(std::string(25 << 20, 'x'))).error().code, "event_stream.too_large");
}

TEST(EventStream, KnowsAStreamThatWasCut) {
  EventStreamDecoder decoder;
  decoder.feed(from_hex(kChunk).substr(0, 50));
  const auto message = decoder.next();
  ASSERT_TRUE(message);
  EXPECT_FALSE(*message);
  EXPECT_FALSE(decoder.is_at_boundary());
}

}  // namespace
}  // namespace mayfly::net
