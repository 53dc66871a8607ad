"""What a glTF document asks of its reader, by name: honoured, without effect on a picture here, or refused.

Part of the objects stage; headers only. An extension in `extensionsRequired` has to be on one of the two lists.
"""

from importlib.util import find_spec

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.document import Document
from mousefacelift.objects.formats.materials import picture_number, used_slots

DRACO, MESHOPT = "KHR_draco_mesh_compression", "EXT_meshopt_compression"
TRANSMISSION = "KHR_materials_transmission"
HONOURED = {
    "KHR_mesh_quantization",
    "KHR_texture_transform",
    "KHR_materials_unlit",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_materials_emissive_strength",
    "KHR_node_visibility",
    "EXT_mesh_gpu_instancing",
    "EXT_texture_webp",
    "EXT_texture_avif",
}
WITHOUT_EFFECT = {  # on base colour under our own lamps, in the rest pose
    "KHR_lights_punctual",
    "EXT_lights_image_based",
    "KHR_materials_variants",  # the default variant is the document itself
    "KHR_materials_clearcoat",
    "KHR_materials_sheen",
    "KHR_materials_ior",
    "KHR_materials_specular",
    "KHR_materials_anisotropy",
    "KHR_materials_iridescence",
    "KHR_materials_dispersion",
    "KHR_materials_diffuse_transmission",
    "KHR_materials_volume",
    "KHR_animation_pointer",
    "KHR_xmp",
    "KHR_xmp_json_ld",
    "MSFT_lod",  # the document's own nodes are the finest level
    "VRM",
    "VRMC_vrm",
    "VRMC_springBone",
    "VRMC_node_constraint",
}


def check_features(document: Document) -> None:
    """Refuse a document that needs what is not read.

    Raises:
        DataError: names it.
    """
    reasons = list_refusals(document)
    if reasons:
        what, got = reasons[0]
        raise DataError(what, where=str(document.path), got=got)


def list_refusals(document: Document) -> list[tuple[str, str]]:
    """(reason, name) of everything in a document that is refused, in a fixed order."""
    reasons = []
    honoured = HONOURED | WITHOUT_EFFECT | ({DRACO} if find_spec("DracoPy") else set())
    for name in document.tree.get("extensionsRequired", []):
        if name not in honoured | {TRANSMISSION} and not (name == "KHR_texture_basisu" and has_fallbacks(document)):
            hint = " (pip install 'mousefacelift[draco]')" if name == DRACO else ""
            reasons.append(("the asset needs an extension that is not read", name + hint))
    for number, row in used_materials(document):
        see_through = row.get("extensions", {}).get(TRANSMISSION, {}).get("transmissionFactor", 0)
        if see_through > 0:
            reasons.append(("a material lets light through", f"{TRANSMISSION} {see_through:g} in material {number}"))
    return reasons


def has_fallbacks(document: Document) -> bool:
    """True where every picture that is drawn has a form that can be read."""
    try:
        list_pictures(document)
    except DataError:
        return False
    return True


def used_materials(document: Document) -> list[tuple[int, dict]]:
    """(number, row) of the materials that some mesh names."""
    numbers = {p["material"] for m in document.rows("meshes") for p in m["primitives"] if "material" in p}
    return [(number, document.rows("materials")[number]) for number in sorted(numbers)]


def list_pictures(document: Document) -> list[int]:
    """Numbers of the images that reach a picture.

    Raises:
        DataError: one has no form that can be read.
    """
    slots = [used_slots(row) for _, row in used_materials(document)]
    drawn = [slot["index"] for names in slots for name, slot in names.items() if name != "specular"]
    return sorted({picture_number(document, number) for number in drawn})
