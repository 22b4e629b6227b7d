/** Which memory each weight goes to, in the order in which they come: a run of layers shares one; a layer that would not fit begins the next. */
export class SegmentPlan {
  private readonly limit: number;
  private index = 0;
  private filled = 0;
  private lastLayer: number | null = null;
  private layerStart = 0;

  /** `limit`: bytes of weights in a memory. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** The memory of the next weight. */
  place(bytes: number, layer: number | null): number {
    const isNewLayer = layer !== null && layer !== this.lastLayer;
    const layerBytes = this.lastLayer === null ? bytes : Math.max(bytes, this.filled - this.layerStart);
    const wanted = isNewLayer ? layerBytes : bytes;
    const isFull = this.filled > 0 && this.filled + wanted > this.limit;
    if (isFull) {
      this.index++;
      this.filled = 0;
    }
    if (isNewLayer || isFull) this.layerStart = this.filled;
    this.lastLayer = layer;
    this.filled += bytes;
    return this.index;
  }
}
