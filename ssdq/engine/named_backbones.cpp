#include "ssdq/engine/named_backbones.h"

#include <array>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

struct NamedBackbone {
  const char* name;
  int image_size;  // px; 0: any
  const char* cfg;
};

constexpr std::array<NamedBackbone, 5> kNamed = {{
    {"vgg", 512, "configs/backbones/vgg_ssd512.cfg"},
    {"vgg", 0, "configs/backbones/vgg_ssd300.cfg"},
    {"mobilenet_v2", 0, "configs/backbones/mobilenet_v2_ssd320.cfg"},
    {"mobilenet_v3", 0, "configs/backbones/mobilenet_v3_ssd320.cfg"},
    {"efficient_net-b3", 0, "configs/backbones/efficientnet_b3_ssd300.cfg"},
}};

}  // namespace

std::string backbone_cfg(const Config& config) {
  const BackboneConfig& backbone = config.model.backbone;
  if (!backbone.cfg.empty()) {
    return backbone.cfg;
  }
  for (const auto& named : kNamed) {
    const bool fits = named.image_size == 0 || named.image_size == config.input.image_size.height;
    if (fits && to_lower(backbone.name) == named.name) {
      return named.cfg;
    }
  }
  fail_config(
      "MODEL.BACKBONE.CFG is not set; expected the path of a .cfg file such as "
      "backbones/vgg_bn_ssd300.cfg");
}

std::vector<std::pair<std::string, std::string>> backbone_names() {
  std::vector<std::pair<std::string, std::string>> names = {
      {"cfg_backbone", "the network of MODEL.BACKBONE.CFG"}};
  for (const auto& named : kNamed) {
    if (named.image_size == 0) {
      names.emplace_back(named.name, std::string(named.cfg) + ", for lufficc/SSD's configurations");
    }
  }
  return names;
}

}  // namespace ssdq
