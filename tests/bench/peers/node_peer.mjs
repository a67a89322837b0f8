// Flatbush, KDBush, geojson-vt with vt-pbf, and Turf: what a page would use. Protocol: src/main.rs.
import { featureCollection, polygon } from '@turf/helpers';
import { intersect } from '@turf/intersect';
import { GeoJSONVT } from '@maplibre/geojson-vt';
import { fromGeojsonVt } from '@maplibre/vt-pbf';
import Flatbush from 'flatbush';
import KDBush from 'kdbush';
import { closeSync, createReadStream, openSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const folder = process.argv[2];
const load = (name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
let kept = new Map();

async function keep(name, make) {
    if (!kept.has(name)) kept.set(name, await make());
    return kept.get(name);
}

async function readLines(name, count = Infinity) {
    const features = [];
    for await (const line of createInterface({ input: createReadStream(`${folder}/${name}.geojsonl`) })) {
        if (features.length >= count) break;
        if (line) features.push(JSON.parse(line));
    }
    return features;
}

const features = (name) => keep(name, () => readLines(name));

function boundsOf(feature) {
    const bounds = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of feature.geometry.coordinates[0]) {
        bounds[0] = Math.min(bounds[0], x);
        bounds[1] = Math.min(bounds[1], y);
        bounds[2] = Math.max(bounds[2], x);
        bounds[3] = Math.max(bounds[3], y);
    }
    return bounds;
}

function ringHolds(ring, x, y) {
    let inside = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
        const [xi, yi] = ring[i];
        const [xj, yj] = ring[j];
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
}

const holds = (rings, x, y) => ringHolds(rings[0], x, y) && !rings.slice(1).some((hole) => ringHolds(hole, x, y));

const parcelTree = () =>
    keep('parcel tree', async () => {
        const all = await features('parcels');
        const tree = new Flatbush(all.length);
        for (const parcel of all) tree.add(...boundsOf(parcel));
        tree.finish();
        return tree;
    });

function tree(coords, Kind) {
    const index = new Kind(coords.length);
    for (const [x, y] of coords) Kind === Flatbush ? index.add(x, y, x, y) : index.add(x, y);
    index.finish();
    return index;
}

/** A question of item i, as a function. */
async function question(job, engine) {
    const { pt, bbox } = load('queries.json');
    const { kx, ky } = load('frame.json');
    const metres = ([x, y]) => [x * kx, y * ky];
    const coords = async () => (await features('points')).map((feature) => feature.geometry.coordinates);
    switch (`${job} ${engine}`) {
        case 'bbox_points flatbush': {
            const index = tree(await coords(), Flatbush);
            return (i) => index.search(...bbox[i]);
        }
        case 'bbox_points kdbush': {
            const index = tree(await coords(), KDBush);
            return (i) => index.range(...bbox[i]);
        }
        case 'bbox_boxes flatbush': {
            const index = await parcelTree();
            return (i) => index.search(...bbox[i]);
        }
        case 'nearest_10 flatbush': {
            const index = tree((await coords()).map(metres), Flatbush);
            return (i) => index.neighbors(...metres(pt[i]), 10);
        }
        case 'within kdbush': {
            const index = tree((await coords()).map(metres), KDBush);
            const radii = load('rad.json');
            return (i) => index.within(...metres(pt[i]), radii[i] * ky);
        }
        case 'join flatbush': {
            const index = await parcelTree();
            const rings = (await features('parcels')).map((feature) => feature.geometry.coordinates);
            const places = load('join.json');
            return (i) => {
                const [x, y] = places[i];
                return index.search(x, y, x, y).filter((hit) => holds(rings[hit], x, y));
            };
        }
        default:
            throw new Error(`${engine} has no ${job}`);
    }
}

/** geojson-vt keeps what it cut: each round begins with a fresh index, untimed. */
async function freshTiles(job) {
    const name = job.replace('tiles_', '');
    const all = await features(name);
    const start = performance.now();
    const index = new GeoJSONVT({ type: 'FeatureCollection', features: all }, { maxZoom: 16, extent: 4096, buffer: 64 });
    const built = (performance.now() - start) / 1e3;
    const cut = ([z, x, y]) => {
        const tile = index.getTile(z, x, y);
        return tile ? fromGeojsonVt({ [name]: tile }, { version: 2, extent: 4096 }) : new Uint8Array();
    };
    return { cut, built };
}

async function overlayShapes() {
    return keep('overlay', async () => {
        const parcels = (await readLines('parcels', 20000)).map((feature) => polygon(feature.geometry.coordinates));
        const zones = (await readLines('zoning')).map((feature) => polygon(feature.geometry.coordinates));
        return load('pairs.json').map(([parcel, zone]) => featureCollection([parcels[parcel], zones[zone]]));
    });
}

/** Square degrees, by the shoelace: Turf measures only on its sphere. */
function planeArea(feature) {
    if (!feature) return 0;
    const { type, coordinates } = feature.geometry;
    let sum = 0;
    for (const rings of type === 'Polygon' ? [coordinates] : coordinates) {
        rings.forEach((ring, at) => {
            let twice = 0;
            const [ox, oy] = ring[0];
            for (let i = 1; i < ring.length; i++) {
                const [ax, ay] = ring[i - 1];
                const [bx, by] = ring[i];
                twice += (ax - ox) * (by - oy) - (bx - ox) * (ay - oy);
            }
            sum += (at === 0 ? 1 : -1) * Math.abs(twice / 2);
        });
    }
    return sum;
}

const verbs = {
    async prepare({ job, engine }) {
        if (job.startsWith('tiles')) await features(job.replace('tiles_', ''));
        else if (job.startsWith('overlay')) await overlayShapes();
        else kept.set(`${job} ${engine}`, await question(job, engine));
        return {};
    },
    async run({ job, engine, n }) {
        if (job.startsWith('overlay')) {
            const pairs = await overlayShapes();
            const start = performance.now();
            let sum = 0;
            for (const pair of pairs.slice(0, n)) sum += planeArea(intersect(pair));
            return { seconds: (performance.now() - start) / 1e3, sum };
        }
        const ask = kept.get(`${job} ${engine}`);
        let hits = 0;
        const start = performance.now();
        for (let i = 0; i < n; i++) hits += ask(i).length;
        return { seconds: (performance.now() - start) / 1e3, hits };
    },
    async answer({ job, engine, n }) {
        if (job.startsWith('overlay')) {
            const pairs = (await overlayShapes()).slice(0, n);
            return { areas: pairs.map((pair) => planeArea(intersect(pair))) };
        }
        const ask = kept.get(`${job} ${engine}`);
        const ids = [];
        let [hits, sum] = [0, 0];
        for (let i = 0; i < n; i++) {
            const found = ask(i);
            hits += found.length;
            for (const id of found) sum += id;
            if (i < 200) ids.push(found);
        }
        return { hits, sum, ids };
    },
    async tiles({ job, tiles }) {
        const { cut, built } = await freshTiles(job);
        const milliseconds = tiles.map((tile) => {
            const start = performance.now();
            cut(tile);
            return performance.now() - start;
        });
        return { seconds: milliseconds.reduce((a, b) => a + b, 0) / 1e3, milliseconds, index_s: built };
    },
    async dump({ job, tiles, to }) {
        const { cut } = await freshTiles(job);
        const file = openSync(to, 'w');
        for (const place of tiles) {
            const tile = cut(place);
            const length = Buffer.alloc(4);
            length.writeUInt32LE(tile.length);
            writeSync(file, length);
            writeSync(file, tile);
        }
        closeSync(file);
        return {};
    },
    async drop() {
        kept = new Map();
        return {};
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
        answer = await verbs[request.do](request);
    } catch (error) {
        answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
