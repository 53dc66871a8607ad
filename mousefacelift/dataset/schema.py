"""Schema of the manifest: the columns of `samples.parquet` and `views.parquet`, their types and meaning.

One row per sample, one row per view of a sample. A distilled or splat sample also lists the real photos of its frame:
those view rows point to the real sample's folder (`owner`), nothing is copied.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 2
W2C_COLUMNS = tuple(f"w2c_{row}{column}" for row in range(3) for column in range(4))
CAMERA_COLUMNS = ("width", "height", "fx", "fy", "cx", "cy", *W2C_COLUMNS)

_WORD = pa.dictionary(pa.int32(), pa.string())

SAMPLE_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("folder", pa.string(), "sample folder relative to the manifest's folder"),
    ("source", _WORD, "real, distilled, splat, object or scan"),
    ("set", _WORD, "kind within a source, for instance the splat sets novel and ring"),
    ("recording", _WORD, "one filming, or the asset of an object or scan"),
    ("subject", _WORD, "animal or asset"),
    ("frame", pa.int32(), "time index in the recording's video; 0 for objects"),
    ("time_s", pa.float64(), "time in the recording, seconds; NaN for objects"),
    ("split", _WORD, "train, val, test, guard, or none where no split names the frame"),
    ("first_view", pa.int64(), "first row of this sample in views.parquet"),
    ("views", pa.int32(), "number of rows there"),
    (
        "weight",
        pa.float32(),
        "chance of being drawn within its source: mean score of its views times its weight",
    ),
    ("decision", _WORD, "accepted or refused, by the geometry gate"),
    ("reason", pa.string(), "why it was refused"),
    ("containment_worst", pa.float32(), "least share of a silhouette inside the hull of the other views"),
    ("containment_mean", pa.float32(), "mean of that share"),
    ("hull_iou", pa.float32(), "mean IoU of silhouettes and hull of all views"),
    ("outside_share", pa.float32(), "largest share of a silhouette that only a body outside [-1, 1]^3 explains"),
    ("border_share", pa.float32(), "largest share of foreground on an image border"),
    ("parents", _WORD, "JSON: what it was made from (photos, fit, generator)"),
    ("seed", pa.int64(), "seed of everything drawn for it; -1 where none"),
    ("config_hash", _WORD, "hash of the configuration section of the stage that made it"),
    ("weight_files", _WORD, "JSON: weight file -> hash, of every network that took part"),
    ("code", _WORD, "hash of the code that wrote it"),
    ("versions", _WORD, "JSON: versions of Python and packages that wrote it"),
    ("licence", _WORD, "licence of the material"),
    ("document_hash", pa.string(), "SHA-256, 32 digits, of opencv_cameras.json"),
    ("document_bytes", pa.int32(), "size of opencv_cameras.json"),
)

VIEW_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("sample", pa.int32(), "row of the sample in samples.parquet"),
    ("view", pa.int16(), "position among the views of the sample"),
    ("owner", pa.int32(), "row of the sample in whose folder the image lies"),
    ("index", pa.int16(), "position in the owner's opencv_cameras.json"),
    ("file", _WORD, "image file relative to the owner's folder"),
    ("source", _WORD, "source of this view: `real` for attached photos"),
    ("camera", pa.int16(), "physical camera of the rig; -1 for a generated or rendered view"),
    ("camera_name", _WORD, "its name in the calibration"),
    ("held_out", pa.bool_(), "view of the held-out camera, or made from one: never used in training"),
    ("protocol", _WORD, "train, A (new time, seen camera), B (held-out camera), C (both), none"),
    ("width", pa.int32(), "pixels"),
    ("height", pa.int32(), "pixels"),
    *((name, pa.float64(), "pixels; pixel (i, j) covers [i, i+1)") for name in ("fx", "fy", "cx", "cy")),
    *((name, pa.float64(), "row-major entry of w2c, OpenCV axes, Z-up world") for name in W2C_COLUMNS),
    ("azimuth", pa.float32(), "degrees from +x toward +y, [0, 360)"),
    ("elevation", pa.float32(), "degrees above the XY plane"),
    ("distance", pa.float32(), "world units from the origin"),
    ("angle_to_real", pa.float32(), "degrees to the nearest real camera of the frame; NaN without one"),
    ("parents", _WORD, "JSON: photo, fit or asset it was made from"),
    ("generator", _WORD, "generator of a distilled view"),
    (
        "offset",
        pa.float32(),
        "azimuth relative to the photo it was painted from, or to camera 0, degrees in (-180, 180]; NaN elsewhere",
    ),
    ("score", pa.float32(), "how far the view may be believed, [0, 1] (`core.records`); 1 for photos and mesh renders"),
    ("containment", pa.float32(), "share of the silhouette inside the hull of the other views"),
    (
        "weight",
        pa.float32(),
        "chance of being shown among the views of its sample: its own weight times its score; 0 is not used",
    ),
    ("seed", pa.int64(), "seed of the view; -1 where none"),
    ("bytes", pa.int32(), "size of the image file"),
    ("hash", pa.binary(16), "SHA-256, first 16 bytes, of image file and camera (`core.samples.view_hash`)"),
)


def arrow_schema(fields: tuple[tuple[str, pa.DataType, str], ...]) -> pa.Schema:
    """Arrow schema of a table with the field descriptions and the schema version as metadata."""
    return pa.schema(
        [pa.field(name, kind, metadata={"description": text}) for name, kind, text in fields],
        metadata={"mousefacelift_schema": str(SCHEMA_VERSION)},
    )


SAMPLES = arrow_schema(SAMPLE_FIELDS)
VIEWS = arrow_schema(VIEW_FIELDS)
