#!/usr/bin/env python3
"""Writes random.json: random small detection problems and their VOC and COCO scores.

The scores come from a plain rendering of the definitions (the VOC development kit in its usual
Python form, the COCO API), written for reading and not for speed, without any library. Boxes are
multiples of 1/4 and scores of 1/64, so single precision holds them exactly.

Usage: python3 make_golden.py > random.json
"""
import json
import random

SEED = 20240511
EPSILON = 2.0 ** -52


def linspace(start, stop, count):
    step = (stop - start) / (count - 1)
    return [i * step + start for i in range(count - 1)] + [stop]


def mean(values):
    return sum(values) / len(values)


def by_score(items, score):
    return sorted(items, key=lambda item: -score(item))  # sorted() is stable


# --- PASCAL VOC ---------------------------------------------------------------------------------


def voc_iou(a, b, extra):
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    area_a = (a[2] - a[0] + extra) * (a[3] - a[1] + extra)
    area_b = (b[2] - b[0] + extra) * (b[3] - b[1] + extra)
    return width * height / (area_a + area_b - width * height)


def voc_ap(images, label, threshold, eleven_point, extra):
    truth = {}
    for image in images:
        objects = [o for o in image["objects"] if o["label"] == label]
        truth[image["id"]] = [{"box": o["box"], "skip": o["difficult"] or o["crowd"], "hit": False}
                              for o in objects]
    positives = sum(not o["skip"] for objects in truth.values() for o in objects)
    if positives == 0:
        return None
    found = [(image["id"], d) for image in images for d in image["detections"] if d["label"] == label]
    found = by_score(found, lambda item: item[1]["score"])
    right, wrong = 0, 0
    recall, precision = [], []
    for image_id, detection in found:
        best, best_object = float("-inf"), None
        for candidate in truth[image_id]:
            overlap = voc_iou(candidate["box"], detection["box"], extra)
            if overlap > best:
                best, best_object = overlap, candidate
        if best > threshold:
            if not best_object["skip"]:
                if best_object["hit"]:
                    wrong += 1
                else:
                    right += 1
                    best_object["hit"] = True
        else:
            wrong += 1
        recall.append(right / positives)
        precision.append(right / max(right + wrong, EPSILON))
    if eleven_point:
        total = 0.0
        for i in range(11):
            total += max([p for r, p in zip(recall, precision) if r >= i * 0.1], default=0.0) / 11.0
        return total
    recall = [0.0] + recall + [1.0]
    precision = [0.0] + precision + [0.0]
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def voc(case, threshold=0.5, eleven_point=False, extra=1.0):
    images = sorted(case["images"], key=lambda image: int(image["id"]))
    per_class = [voc_ap(images, c + 1, threshold, eleven_point, extra)
                 for c in range(case["classes"])]
    defined = [ap for ap in per_class if ap is not None]
    return {"mAP": mean(defined) if defined else None, "per_class": per_class}


# --- COCO ---------------------------------------------------------------------------------------

IOUS = linspace(0.5, 0.95, 10)
RECALLS = linspace(0.0, 1.0, 101)
AREAS = {"all": (0, 1e10), "s": (0, 32 ** 2), "m": (32 ** 2, 96 ** 2), "l": (96 ** 2, 1e10)}


def size(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def coco_iou(detection, truth, crowd):
    width = min(detection[2], truth[2]) - max(detection[0], truth[0])
    height = min(detection[3], truth[3]) - max(detection[1], truth[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = size(detection) if crowd else size(detection) + size(truth) - width * height
    return width * height / union


def coco_image(image, label, area, threshold):
    """(number of objects that count, [(score, hit, ignored)]) of at most 100 detections."""
    low, high = AREAS[area]
    objects = []
    for o in image["objects"]:
        if o["label"] == label:
            extent = size(o["box"]) if o["area"] < 0 else o["area"]
            ignored = o["crowd"] or o["difficult"] or extent < low or extent > high
            objects.append({"box": o["box"], "crowd": o["crowd"], "ignored": ignored, "hit": False})
    objects.sort(key=lambda o: o["ignored"])
    detections = by_score([d for d in image["detections"] if d["label"] == label],
                          lambda d: d["score"])[:100]
    result = []
    for detection in detections:
        best, match = min(threshold, 1 - 1e-10), None
        for candidate in objects:
            if candidate["hit"] and not candidate["crowd"]:
                continue
            if match is not None and not match["ignored"] and candidate["ignored"]:
                break
            overlap = coco_iou(detection["box"], candidate["box"], candidate["crowd"])
            if overlap < best:
                continue
            best, match = overlap, candidate
        if match is not None:
            match["hit"] = True
            result.append((detection["score"], True, match["ignored"]))
        else:
            extent = size(detection["box"])
            result.append((detection["score"], False, extent < low or extent > high))
    return sum(not o["ignored"] for o in objects), result


def coco_curve(images, label, area, threshold, limit):
    """(precision at the 101 recalls, highest recall), or None without ground truth."""
    parts = [coco_image(image, label, area, threshold) for image in images]
    positives = sum(part[0] for part in parts)
    if positives == 0:
        return None
    found = by_score([d for part in parts for d in part[1][:limit]], lambda d: d[0])
    right, wrong = 0, 0
    recall, precision = [], []
    for _, hit, ignored in found:
        right += hit and not ignored
        wrong += not hit and not ignored
        recall.append(right / positives)
        precision.append(right / (wrong + right + EPSILON))
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    sampled = []
    for wanted in RECALLS:
        index = next((i for i, r in enumerate(recall) if r >= wanted), None)
        sampled.append(0.0 if index is None else precision[index])
    return sampled, recall[-1] if recall else 0.0


def coco(case):
    images = sorted(case["images"], key=lambda image: int(image["id"]))
    labels = range(1, case["classes"] + 1)

    def average(what, area="all", limit=100, ious=IOUS, wanted=labels):
        values = []
        for label in wanted:
            for threshold in ious:
                point = coco_curve(images, label, area, threshold, limit)
                if point is not None:
                    values += point[0] if what == "AP" else [point[1]]
        return mean(values) if values else -1.0

    metrics = {
        "AP": average("AP"),
        "AP50": average("AP", ious=IOUS[:1]),
        "AP75": average("AP", ious=IOUS[5:6]),
        "APs": average("AP", "s"),
        "APm": average("AP", "m"),
        "APl": average("AP", "l"),
        "AR1": average("AR", limit=1),
        "AR10": average("AR", limit=10),
        "AR100": average("AR"),
        "ARs": average("AR", "s"),
        "ARm": average("AR", "m"),
        "ARl": average("AR", "l"),
    }
    per_class = [average("AP", wanted=[label]) for label in labels]
    return {"metrics": metrics, "per_class": [None if ap < 0 else ap for ap in per_class]}


# --- Cases --------------------------------------------------------------------------------------


def quarter(value):
    return round(value * 4) / 4


def random_box(rng):
    width = quarter(rng.choice([rng.uniform(4, 32), rng.uniform(24, 100), rng.uniform(90, 300)]))
    height = quarter(width * rng.uniform(0.5, 2))
    x, y = quarter(rng.uniform(0, 300)), quarter(rng.uniform(0, 300))
    return [x, y, x + width, y + height]


def moved_box(rng, box, amount):
    width, height = box[2] - box[0], box[3] - box[1]
    x1, y1 = (quarter(box[i] + rng.gauss(0, amount) * (width, height)[i]) for i in range(2))
    x2, y2 = (quarter(box[i + 2] + rng.gauss(0, amount) * (width, height)[i]) for i in range(2))
    return [x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)]


def random_image(rng, image_id, options):
    objects = []
    for _ in range(rng.randint(0, options["objects"])):
        box = random_box(rng)
        area = quarter(size(box) * rng.uniform(0.4, 1)) if rng.random() < 0.5 else -1
        objects.append({"box": box, "label": rng.randint(1, options["labels"]),
                        "difficult": rng.random() < options["difficult"],
                        "crowd": rng.random() < options["crowd"], "area": area})
    detections = []
    for o in objects:
        for _ in range(rng.randint(0, options["repeats"])):
            label = o["label"] if rng.random() < 0.9 else rng.randint(1, options["classes"])
            box = list(o["box"]) if rng.random() < 0.2 else moved_box(rng, o["box"], 0.1)
            detections.append({"box": box, "label": label})
    for _ in range(rng.randint(0, options["noise"])):
        detections.append({"box": random_box(rng), "label": rng.randint(1, options["classes"])})
    rng.shuffle(detections)
    for d in detections:
        d["score"] = rng.randint(1, options["levels"]) / options["levels"]
    return {"id": str(image_id), "objects": objects, "detections": detections}


def make_case(rng, name, images=8, **changes):
    options = {"classes": 3, "labels": 3, "objects": 6, "difficult": 0.0, "crowd": 0.0,
               "repeats": 2, "noise": 4, "levels": 64}
    options.update(changes)
    ids = rng.sample(range(1, 2000), images)
    case = {"name": name, "classes": options["classes"],
            "images": [random_image(rng, i, options) for i in ids]}
    if name == "NoDetections":
        for image in case["images"]:
            image["detections"] = []
    case["voc_area"] = voc(case)
    case["voc_11point"] = voc(case, eleven_point=True)
    case["voc_area_75_continuous"] = voc(case, threshold=0.75, extra=0.0)
    case["coco"] = coco(case)
    return case


def main():
    rng = random.Random(SEED)
    cases = [
        make_case(rng, "Plain"),
        make_case(rng, "Difficult", difficult=0.4),
        make_case(rng, "Crowd", crowd=0.3, repeats=3),
        make_case(rng, "DifficultAndCrowd", difficult=0.3, crowd=0.3, objects=8),
        make_case(rng, "DuplicatedScores", levels=4, images=12, noise=8),
        make_case(rng, "OneScoreForAll", levels=1),
        make_case(rng, "ClassesWithoutGroundTruth", classes=5, labels=2),
        make_case(rng, "NoDetections"),
        make_case(rng, "NoGroundTruth", objects=0),
        make_case(rng, "OneClass", classes=1, labels=1, images=10, objects=5),
        make_case(rng, "MoreThanHundredDetections", classes=1, labels=1, images=2, objects=20,
                  repeats=8, noise=60),
    ]
    print("{\"seed\": %d, \"cases\": [" % SEED)
    print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
    print("]}")


if __name__ == "__main__":
    main()
