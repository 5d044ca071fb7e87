// The simulated world as faults see it: nodes by index, and one more end of links for all clients. What the world can do
// is in world.ts; this is the little of it that is done to a cluster on purpose.

/** kill: the disk keeps everything that was written. power-loss: silence, and only what was synced. crash: connections
 *  break, and of what was not synced single sectors remain. */
export type Death = 'kill' | 'power-loss' | 'crash'
export type LinkFault = 'cut' | 'slow'

export interface Arena {
  readonly nodeCount: number
  /** There is a process, in service or on its way there. */
  isUp(node: number): boolean
  isPaused(node: number): boolean
  /** No effect on the process of a dead node; power is lost all the same. */
  kill(node: number, death: Death): void
  /** True once it is in service; false when it was refused or died before. */
  start(node: number): Promise<boolean>
  /** In order. */
  stop(node: number): Promise<void>
  pause(node: number): void
  resume(node: number): void
  /** One way of a link; `nodeCount` stands for the clients. */
  setLink(from: number, to: number, how: LinkFault, isOn: boolean): void
  reset(node: number): void
  setDiskFull(node: number, isFull: boolean): void
  setDiskSlow(node: number, isSlow: boolean): void
  /** The next sync fails. Gives what takes that back, and says whether one has failed. */
  failSync(node: number): () => boolean
  /** Of a dead node. */
  wipe(node: number): void
  /** False: there was none that may be flipped. */
  flipBit(node: number): boolean
  jumpClock(node: number, ms: number): void
}
