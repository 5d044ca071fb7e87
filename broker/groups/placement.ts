// Which partition of __consumer_offsets holds a group: Java's String.hashCode of its id, without the sign bit, modulo
// the number of partitions (GroupCoordinatorService.partitionFor, Utils.abs).

export function partitionFor(groupId: string, numPartitions: number): number {
  return (javaHashOf(groupId) & 0x7fffffff) % numPartitions
}

/** String.hashCode: over UTF-16 units, in 32 bits. */
export function javaHashOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}
