"""As much of a Mapbox Vector Tile as must be counted, and tiles as the engines dump them."""


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """Field number and content (bytes where it has a length) of a protobuf message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            width = {1: 8, 5: 4}[kind]
            value, at = data[at : at + width], at + width
        yield key >> 3, value


def features(tile):
    """How many features a tile has in all its layers."""
    return sum(sum(number == 2 for number, _ in fields(layer)) for field, layer in fields(tile) if field == 3)


def read_dump(path):
    with open(path, "rb") as file:
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "little"))
