#include "ssdq/distributed/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace ssdq {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Agreement, IsFoundOnEqualFactsOfAnyBytes) {
  const auto failures = run_ranks(2, [](ProcessGroup& group) {
    check_agreement(group, {{"configuration", "A: \xff\nB: 2\n"}, {"network", ""}});
  });
  EXPECT_THAT(failures, Each(IsEmpty()));
}

TEST(Agreement, NamesFactRanksAndLineOnAllRanks) {
  const auto failures = run_ranks(4, [](ProcessGroup& group) {
    const auto rate = group.rank() % 2 == 1 ? "0.1" : "0.01";
    check_agreement(group, {{"network", "n"},
                            {"configuration", std::string("A: 1\n  LR: ") + rate + "\nC: 3\n"}});
  });
  EXPECT_THAT(failures, Each("the configuration of ranks 1 and 3 differs from rank 0's: on rank 1 "
                             "line 2 is \"LR: 0.1\" and \"LR: 0.01\" on rank 0; start all ranks "
                             "with the same"));
}

TEST(Agreement, SaysWhatIsMissing) {
  EXPECT_EQ(describe_disagreement({{{"data", "x"}}, {{"data", "x"}}}), "");
  EXPECT_THAT(describe_disagreement({{{"data", "5000 images"}}, {{"data", "4999 images"}}}),
              HasSubstr("on rank 1 \"4999 images\" and \"5000 images\" on rank 0"));
  EXPECT_THAT(describe_disagreement({{{"data", "a\nb"}}, {{"data", "a"}}}),
              HasSubstr("line 2 is nothing and \"b\" on rank 0"));
  EXPECT_THAT(describe_disagreement({{{"data", "a"}}, {}}), HasSubstr("the data of rank 1"));
}

}  // namespace
}  // namespace ssdq
