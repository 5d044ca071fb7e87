// Which partition of __consumer_offsets holds a group: the absolute value of Java's String.hashCode of its id, 0
// for the one that has none (-2^31), modulo the number of partitions (GroupCoordinatorService.partitionFor, Utils.abs).

export function partitionFor(groupId: string, numPartitions: number): number {
  const hash = javaHashOf(groupId)
  return (hash === -(2 ** 31) ? 0 : Math.abs(hash)) % numPartitions
}

/** String.hashCode: over UTF-16 units, in 32 bits. */
export function javaHashOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}
