#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/distributed/process_group.h"

namespace ssdq {

// What all ranks must have alike, by the name that a message gives it ("configuration", "network",
// "training set"), as text of any number of lines.
using Facts = std::map<std::string, std::string>;

// Compares the facts of all ranks with rank 0's; all ranks call it. Throws the same Error on all of
// them, naming the first fact that differs, the ranks where it does and the first line of it.
void check_agreement(ProcessGroup& group, const Facts& facts);

// The message of that Error, or "" where all agree; `facts` are those of all ranks.
std::string describe_disagreement(const std::vector<Facts>& facts);

}  // namespace ssdq
