"""Power diagram (weighted Voronoi) of commune sites, weights moved until areas fit their targets.

A commune may have several sites (its point and known places in it); they share one weight and the
commune's cell is the union of their cells. Everything here is in metres on the local plane.
"""
from __future__ import annotations

import math

import numpy as np
import shapely
from scipy.spatial import cKDTree
from shapely.geometry import Polygon


class Sites:
    def __init__(self, points: np.ndarray, owner: np.ndarray, domain):
        self.p = points                      # (n, 2)
        self.owner = owner                   # commune index of each site
        self.domain = domain                 # polygon or multipolygon the cells are cut by
        self.prepared = domain
        shapely.prepare(self.prepared)
        self.frame = domain.bounds
        k = min(len(points), 48)
        _, self.near = cKDTree(points).query(points, k=k)

    def cell(self, i: int, w: np.ndarray) -> list[tuple[float, float]]:
        """The convex power cell of site i, cut by the frame only."""
        x0, y0, x1, y1 = self.frame
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        px, py = self.p[i]
        for j in self.near[i][1:]:
            qx, qy = self.p[j]
            # |x-p|^2 - wp <= |x-q|^2 - wq   <=>   a x + b y <= c
            a, b = 2 * (qx - px), 2 * (qy - py)
            c = qx * qx + qy * qy - px * px - py * py + w[i] - w[j]
            ring = _half_plane(ring, a, b, c)
            if len(ring) < 3:
                return []
        return ring

    def cells(self, w: np.ndarray) -> list:
        out = []
        for i in range(len(self.p)):
            ring = self.cell(i, w)
            if not ring:
                out.append(Polygon())
                continue
            g = Polygon(ring)
            out.append(g if shapely.contains_properly(self.prepared, g) else g.intersection(self.domain))
        return out


def _half_plane(ring, a, b, c):
    out = []
    n = len(ring)
    d = [a * x + b * y - c for x, y in ring]
    for k in range(n):
        m = (k + 1) % n
        if d[k] <= 0:
            out.append(ring[k])
        if (d[k] < 0 < d[m]) or (d[m] < 0 < d[k]):
            t = d[k] / (d[k] - d[m])
            out.append((ring[k][0] + (ring[m][0] - ring[k][0]) * t, ring[k][1] + (ring[m][1] - ring[k][1]) * t))
    return out


def fit(sites: Sites, target: np.ndarray, rounds: int = 60, log=print) -> np.ndarray:
    """Commune weights such that areas approach `target` (m2; NaN = free). Returns them."""
    n = len(target)
    w = np.zeros(n)
    free = np.isnan(target)
    for r in range(rounds):
        area = np.zeros(n)
        for i, g in enumerate(sites.cells(w[sites.owner])):
            area[sites.owner[i]] += g.area
        miss = np.where(free, 0.0, target - area)
        rel = np.abs(miss[~free]) / target[~free]
        if log and (r % 10 == 0 or r == rounds - 1):
            log(f"  round {r}: mean error {rel.mean():.4f}, worst {rel.max():.3f}")
        if r == rounds - 1 or rel.max() < 2e-3:
            break
        # For a cell amid equals, dA/dw is about 1.7; a step below that is steady.
        w = w + (0.45 if r < 20 else 0.25) * miss
        w = _calm(w, sites, free)
    return w


def _calm(w, sites, free):
    """Keep every site inside its own cell, and let free cells follow their neighbours' mean."""
    mean = w.copy()
    total, count = np.zeros(len(w)), np.zeros(len(w))
    for i, row in enumerate(sites.near):
        a = sites.owner[i]
        for j in row[1:7]:
            total[a] += w[sites.owner[j]]
            count[a] += 1
    mean = total / np.maximum(count, 1)
    w = np.where(free, 0.5 * w + 0.5 * np.clip(mean, -2e7, 2e7), w)
    for _ in range(3):
        for i, row in enumerate(sites.near):
            a = sites.owner[i]
            for j in row[1:16]:
                b = sites.owner[j]
                if a == b:
                    continue
                room = 0.80 * math.dist(sites.p[i], sites.p[j]) ** 2
                over = w[b] - w[a] - room
                if over > 0:
                    w[b] -= over / 2
                    w[a] += over / 2
    return w
