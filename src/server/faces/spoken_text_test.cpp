#include "server/faces/spoken_text.h"

#include <gtest/gtest.h>

#include "server/faces/face_app.h"

namespace mayfly::faces {
namespace {

engine::Delta said(std::int64_t operation, std::int64_t attempt, std::size_t offset, std::string text) {
  return {operation, attempt, "text", offset, std::move(text)};
}

TEST(SpokenTextTest, StepsAreSetApartAndTheAnswerIsNotRepeated) {
  SpokenText spoken;
  EXPECT_EQ(spoken.take(said(1, 1, 0, "I look")), "I look");
  EXPECT_EQ(spoken.take(said(1, 1, 6, " it up.")), " it up.");
  EXPECT_EQ(spoken.take({2, 1, "output", 0, "tool noise"}), "");
  EXPECT_EQ(spoken.take(said(3, 1, 0, "It is")), "\n\nIt is");
  EXPECT_EQ(spoken.take(said(3, 1, 5, " 42.")), " 42.");
  EXPECT_EQ(spoken.finish("It is 42."), "");
}

TEST(SpokenTextTest, WhatWasMissedComesAtTheEnd) {
  SpokenText spoken;
  EXPECT_EQ(spoken.finish("all of it"), "all of it");
  EXPECT_EQ(spoken.take(said(3, 1, 0, "It is")), "It is");
  EXPECT_EQ(spoken.finish("It is 42."), " 42.");
  EXPECT_EQ(spoken.finish("Something else"), "\n\nSomething else");
}

TEST(SpokenTextTest, AnAnswerInSeveralStepsIsKnown) {
  SpokenText spoken;
  spoken.take(said(1, 1, 0, "half "));
  spoken.take(said(2, 1, 0, "and half"));
  EXPECT_EQ(spoken.finish("half and half"), "");
}

TEST(SpokenTextTest, ARepeatedStepIsHeardOnce) {
  SpokenText spoken;
  EXPECT_EQ(spoken.take(said(1, 1, 0, "The sky")), "The sky");
  EXPECT_EQ(spoken.take(said(1, 1, 3, " sky")), "") << "known already";
  EXPECT_EQ(spoken.take(said(1, 2, 0, "The ")), "");
  EXPECT_EQ(spoken.take(said(1, 2, 4, "sky is blue")), " is blue");
  EXPECT_EQ(spoken.take(said(1, 1, 7, "late")), "") << "of an attempt that is over";
}

TEST(SpokenTextTest, ARestartThatSaysSomethingElseIsToldAnew) {
  SpokenText spoken;
  EXPECT_EQ(spoken.take(said(1, 1, 0, "The sky")), "The sky");
  EXPECT_EQ(spoken.take(said(1, 1, 0, "")), "");
  EXPECT_EQ(spoken.take(said(1, 1, 0, "A cloud")), "\n\nA cloud");
  EXPECT_EQ(spoken.take(said(1, 1, 7, " passes")), " passes");
}

TEST(ModelNames, AreFoundByProviderFamilyOrTheOnlyProvider) {
  const std::vector<std::string> two{"anthropic", "openai"};
  EXPECT_EQ(*resolve_model(two, "openai/gpt-5"), "openai/gpt-5");
  EXPECT_EQ(*resolve_model(two, "claude-sonnet-4-5"), "anthropic/claude-sonnet-4-5");
  EXPECT_EQ(*resolve_model(two, "o3-mini"), "openai/o3-mini");
  EXPECT_EQ(*resolve_model({"local"}, "llama"), "local/llama");
  EXPECT_EQ(*resolve_model({"local"}, "meta/llama"), "local/meta/llama");
  const auto unknown = resolve_model(two, "llama");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, "llm.not_found");
  EXPECT_NE(unknown.error().message.find("anthropic, openai"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::faces
