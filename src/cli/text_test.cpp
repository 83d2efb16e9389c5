#include "cli/text.h"

#include <gtest/gtest.h>

namespace mayfly::cli {
namespace {

TEST(Printable, MakesWhatCouldSteerATerminalVisible) {
  EXPECT_EQ(printable("\x1b[31mred\x1b]0;title\x07"), "␛[31mred␛]0;title␇");
  EXPECT_EQ(printable("a\xC2\x9B"
                      "b"),
            "a<U+009B>b");
  EXPECT_EQ(printable("abc\xE2\x80\xAE"
                      "fed"),
            "abc<U+202E>fed");
  EXPECT_EQ(printable("two\r\nlines\tand a tab"), "two\nlines\tand a tab");
}

TEST(Printable, ReplacesMalformedUtf8) {
  EXPECT_EQ(printable("a\xFF"
                      "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(printable("Grüße 日本"), "Grüße 日本");
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("Grüße"), 5u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);
  EXPECT_EQ(display_width("\xFF"), 1u);
}

TEST(OneLine, JoinsLinesAndCutsAtTheWidth) {
  EXPECT_EQ(one_line("  a\n\n b\tc  ", 0), "a b c");
  EXPECT_EQ(one_line("abcdef", 6), "abcdef");
  EXPECT_EQ(one_line("abcdefg", 6), "abcde…");
  EXPECT_EQ(one_line("日本語", 4), "日…");
}

TEST(Padded, IsExactlyAsWideAsAsked) {
  EXPECT_EQ(padded("ab", 4), "ab  ");
  EXPECT_EQ(padded("abcdef", 4), "abc…");
}

TEST(Table, AlignsColumnsByWhatIsSeen) {
  EXPECT_EQ(table({{"NAME"}, {"N", Align::Right}, {"WHAT"}}, {{{"日本"}, {"7"}, {"x"}}, {{"a"}, {"123"}, {"y"}}}, 0, false),
            "NAME    N  WHAT\n"
            "日本    7  x\n"
            "a     123  y\n");
}

TEST(Table, CutsTheLastColumnAtTheTerminalsEdge) {
  const std::string text = table({{"A"}, {"B"}}, {{{"1234567890"}, {"a long text that does not fit"}}}, 24, false);
  EXPECT_EQ(text, "A           B\n1234567890  a long text…\n");
}

TEST(Table, ColoursNothingWithoutATerminal) {
  const std::vector<std::vector<Cell>> rows{{{"x", Ink::Red}}};
  EXPECT_EQ(table({{"A"}}, rows, 0, false).find('\x1b'), std::string::npos);
  EXPECT_NE(table({{"A"}}, rows, 0, true).find("\x1b[31mx\x1b[0m"), std::string::npos);
}

TEST(Figures, ReadWell) {
  EXPECT_EQ(age(Millis{500}), "now");
  EXPECT_EQ(age(Millis{59'999}), "59s");
  EXPECT_EQ(age(Millis{3'600'000}), "1h");
  EXPECT_EQ(age(Millis{-5}), "now");
  EXPECT_EQ(money(0), "-");
  EXPECT_EQ(money(0.00213), "$0.0021");
  EXPECT_EQ(money(12.5), "$12.50");
  EXPECT_EQ(count(999), "999");
  EXPECT_EQ(count(1'234), "1.2k");
  EXPECT_EQ(count(999'999), "1.0M");
}

TEST(Readable, ShowsTheAnswerNotItsEnvelope) {
  EXPECT_EQ(readable(JsonObject{{"text", "done"}}), "done");
  EXPECT_EQ(readable("plain"), "plain");
  EXPECT_EQ(readable(nullptr), "");
  const Json with_schema = JsonObject{{"text", "{\"a\":1}"}, {"output", JsonObject{{"a", 1}}}};
  EXPECT_EQ(*parse_json(readable(with_schema)), Json(JsonObject{{"a", 1}}));
}

}  // namespace
}  // namespace mayfly::cli
