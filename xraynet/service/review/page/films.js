// The films at hand: facts fetched anew each time, grey values and heatmaps kept for the last few, the next one fetched ahead.

import { readFilm, readHeatmap, readLevels, readTable } from "./api.js";
import { unpackFilm } from "./stage.js";

const KEPT = 4;

export class FilmShelf {
  constructor() { this.kept = new Map(); }

  facts(id) { return readFilm(id); }

  // {levels, table, heat} of a film; kept apart with and without its heatmap, for the map may come later.
  unpacked(film) {
    const key = `${film.id} ${film.has_heatmap}`;
    const known = this.kept.get(key);
    this.kept.delete(key);
    const packed = known ?? fetchFilm(film);
    packed.catch(() => this.kept.delete(key));
    this.kept.set(key, packed);
    while (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return packed;
  }

  // Fetches a film that is likely to be asked for next; an error is that later request's to report.
  async ahead(id) {
    try {
      await this.unpacked(await this.facts(id));
    } catch {
      // Asked for again when it is needed.
    }
  }
}

async function fetchFilm(film) {
  if (!film.film) throw new Error(film.message ?? "its grey values are not in this folder");
  const [levels, table, heat] = await Promise.all([
    readLevels(film.id), readTable(film.id), film.has_heatmap ? readHeatmap(film.id) : null,
  ]);
  return unpackFilm(film, { levels, table, heat });
}
