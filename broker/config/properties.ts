// Reads a Java properties file (java.util.Properties#load): comments, continued lines, escapes, three separators. Stricter
// in one thing: a key that stands twice is told to the caller, because the last one silently wins in Java.
import { MoldauError } from '../../protocol/failure.ts'

export interface Property {
  readonly key: string
  readonly value: string
  /** 1-based number of the line on which it begins. */
  readonly line: number
}

const BLANK = ' \t\f'
const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

export function readProperties(source: string, path: string): Property[] {
  return logicalLines(source).map(({ content, line }) => {
    const end = keyEnd(content)
    const rest = content.slice(end)
    const separated = /^[ \t\f]*[=:]?[ \t\f]*/.exec(rest)?.[0].length ?? 0
    const at = `${path}:${line}`
    return { key: unescaped(content.slice(0, end), at), value: unescaped(rest.slice(separated), at), line }
  })
}

/** Lines without comments and blank ones; a line that ends in an odd number of backslashes goes on in the next. */
function logicalLines(source: string): { content: string; line: number }[] {
  const lines = source.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  const found: { content: string; line: number }[] = []
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1
    let content = trimStart(lines[index] ?? '')
    if (content === '' || content.startsWith('#') || content.startsWith('!')) continue
    while (endsOpen(content) && index + 1 < lines.length)
      content = content.slice(0, -1) + trimStart(lines[++index] ?? '')
    if (endsOpen(content)) content = content.slice(0, -1)
    found.push({ content, line })
  }
  return found
}

function trimStart(line: string): string {
  let start = 0
  while (start < line.length && BLANK.includes(line.charAt(start))) start++
  return line.slice(start)
}

function endsOpen(line: string): boolean {
  return ((/\\*$/.exec(line)?.[0].length ?? 0) & 1) === 1
}

/** The key ends at the first separator that no backslash protects. */
function keyEnd(content: string): number {
  for (let index = 0; index < content.length; index++) {
    const char = content.charAt(index)
    if (char === '\\') index++
    else if (char === '=' || char === ':' || BLANK.includes(char)) return index
  }
  return content.length
}

function unescaped(escaped: string, at: string): string {
  return escaped.replace(/\\(u[\da-fA-F]{4}|[\s\S])/g, (_, sequence: string) => {
    if (sequence.length === 5) return String.fromCharCode(Number.parseInt(sequence.slice(1), 16))
    if (sequence === 'u') throw new MoldauError('ERR_CONFIG', `${at}: \\u must be followed by four hexadecimal digits`)
    return ESCAPES[sequence] ?? sequence
  })
}
