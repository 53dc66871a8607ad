"""Materials of a glTF document as the project's matt surfaces: colour, alpha, emission, textures with their samplers.

Part of the objects stage. Follows the glTF 2.0 specification, section 3.9, with KHR_materials_unlit (base colour as it
is: no light, no emission), KHR_materials_pbrSpecularGlossiness (diffuse colour instead of base colour; where the whole
material has none, it is a metal and its specular colour stands in, as a metal's base colour does elsewhere),
KHR_materials_emissive_strength and KHR_texture_transform. Metal, roughness, normal and occlusion maps are not used.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.document import Document
from mousefacelift.objects.formats.pictures import decode_picture
from mousefacelift.objects.mesh import ALPHA_MODES, CLAMP, MASK, MIRROR, REPEAT, Material

WRAP_MODES = {10497: REPEAT, 33071: CLAMP, 33648: MIRROR}  # OpenGL's numbers, as in the glTF 2.0 specification, 5.26
NEAREST = 9728
WHITE = (1.0, 1.0, 1.0, 1.0)
SPECGLOSS, UNLIT = "KHR_materials_pbrSpecularGlossiness", "KHR_materials_unlit"
TRANSFORM, STRENGTH = "KHR_texture_transform", "KHR_materials_emissive_strength"
PICTURE_EXTENSIONS = ("EXT_texture_webp", "EXT_texture_avif")  # that Pillow decodes; tried before the fallback


@dataclass(frozen=True)
class Placed:
    """Where a texture's coordinates come from.

    Attributes:
        texcoord: number of the set TEXCOORD_n. matrix: [2, 3] applied to it, v down.
    """

    texcoord: int
    matrix: np.ndarray


@dataclass(frozen=True)
class Look:
    """A material with the places of its two textures (None where it has none)."""

    material: Material
    base: Placed | None = None
    glow: Placed | None = None


def used_slots(row: dict) -> dict[str, dict]:
    """The textureInfo of each texture of a material that may reach a picture: "base", "specular" of a
    specular-glossiness material, and "glow" where it shines."""
    extensions = row.get("extensions", {})
    surface = row.get("pbrMetallicRoughness", {})
    slots = {"base": surface.get("baseColorTexture")}
    if SPECGLOSS in extensions:
        shine = extensions[SPECGLOSS]
        slots = {"base": shine.get("diffuseTexture"), "specular": shine.get("specularGlossinessTexture")}
    if UNLIT not in extensions and any(row.get("emissiveFactor", (0, 0, 0))) and "emissiveTexture" in row:
        slots["glow"] = row["emissiveTexture"]
    return {name: slot for name, slot in slots.items() if slot is not None}


def picture_number(document: Document, texture: int) -> int:
    """The image of a texture: of an extension that can be read before the plain one.

    Raises:
        DataError: it has only a form that is not read.
    """
    row = document.rows("textures")[texture]
    extensions = row.get("extensions", {})
    for name in PICTURE_EXTENSIONS:
        if name in extensions:
            return extensions[name]["source"]
    if "source" not in row:
        raise DataError(
            "a texture has no picture that can be read",
            where=f"{document.path}, texture {texture}",
            got=", ".join(extensions) or "no source",
            expected="PNG, JPEG, WebP or AVIF",
        )
    return row["source"]


class MaterialReader:
    """Materials of one document, each made once; a picture that two share is decoded once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.read = lru_cache(maxsize=None)(self._read)
        self._decode = lru_cache(maxsize=None)(self._decode_image)

    def _decode_image(self, number: int) -> np.ndarray:
        return decode_picture(self._document.picture(number), f"{self._document.path}, image {number}")

    def _read(self, number: int | None) -> Look:
        """The look of material `number`; of glTF's default material for None."""
        if number is None:
            return Look(Material(double_sided=False))
        row = self._document.rows("materials")[number]
        extensions, surface = row.get("extensions", {}), row.get("pbrMetallicRoughness", {})
        unlit, slots = UNLIT in extensions, used_slots(row)
        base, texture = tuple(float(c) for c in surface.get("baseColorFactor", WHITE)), self._texture(slots.get("base"))
        if SPECGLOSS in extensions:
            base = tuple(float(c) for c in extensions[SPECGLOSS].get("diffuseFactor", WHITE))
            if is_black(base, texture):
                base = (*(float(c) for c in extensions[SPECGLOSS].get("specularFactor", (1, 1, 1))), base[3])
                slots["base"] = slots.get("specular")
                texture = self._texture(slots["base"])
        mode = ALPHA_MODES[row.get("alphaMode", "OPAQUE")]
        strength = float(extensions.get(STRENGTH, {}).get("emissiveStrength", 1.0))
        glow = tuple(0.0 if unlit else strength * float(c) for c in row.get("emissiveFactor", (0, 0, 0)))
        (wrap, sharp), (glow_wrap, glow_sharp) = (self._sampling(slots.get(name)) for name in ("base", "glow"))
        material = Material(
            base=base,
            texture=texture,
            emissive=glow,
            emissive_texture=self._texture(slots.get("glow")),
            alpha_mode=mode,
            cutoff=float(row.get("alphaCutoff", 0.5)) if mode == MASK else 0.5,
            wrap=wrap,
            glow_wrap=glow_wrap,
            sharp=(sharp, glow_sharp),
            double_sided=bool(row.get("doubleSided", False)),
            unlit=unlit,
        )
        return Look(material, self._place(slots.get("base")), self._place(slots.get("glow")))

    def _texture(self, slot: dict | None) -> np.ndarray | None:
        return None if slot is None else self._decode(picture_number(self._document, slot["index"]))

    def _sampling(self, slot: dict | None) -> tuple[tuple[int, int], bool]:
        """Wrap modes along u and v, and whether magnified texels stay sharp."""
        row = self._document.rows("textures")[slot["index"]] if slot else {}
        sampler = self._document.rows("samplers")[row["sampler"]] if "sampler" in row else {}
        wrap = tuple(WRAP_MODES[sampler.get(key, 10497)] for key in ("wrapS", "wrapT"))
        return wrap, sampler.get("magFilter") == NEAREST

    def _place(self, slot: dict | None) -> Placed | None:
        if slot is None:
            return None
        return Placed(coordinate_set(slot), transform_matrix(slot.get("extensions", {}).get(TRANSFORM, {})))


def coordinate_set(slot: dict) -> int:
    """Number of the set TEXCOORD_n that a textureInfo asks for; that of its transform goes first."""
    return int(slot.get("extensions", {}).get(TRANSFORM, {}).get("texCoord", slot.get("texCoord", 0)))


def is_black(factor: tuple[float, ...], texture: np.ndarray | None) -> bool:
    """True where a colour factor times a texture is black everywhere."""
    return max(factor[:3]) <= 0 or (texture is not None and not texture[..., :3].any())


def transform_matrix(change: dict) -> np.ndarray:
    """[2, 3] of KHR_texture_transform: translation x rotation x scale, v down."""
    angle, (sx, sy) = float(change.get("rotation", 0.0)), change.get("scale", (1.0, 1.0))
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = change.get("offset", (0.0, 0.0))
    return np.array([[cos * sx, sin * sy, dx], [-sin * sx, cos * sy, dy]], np.float64)
