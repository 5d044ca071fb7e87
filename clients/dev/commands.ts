// What people may type while a local cluster runs.

export type Verb = 'kill' | 'stop' | 'start' | 'pause' | 'resume'
export type Command =
  | { readonly verb: Verb; readonly target: number | 'controller' }
  | { readonly verb: 'status' | 'help' | 'quit' | 'nothing' }
  | { readonly verb: 'unknown'; readonly text: string }

const VERBS: Readonly<Record<string, Verb>> = {
  kill: 'kill',
  k: 'kill',
  stop: 'stop',
  start: 'start',
  s: 'start',
  pause: 'pause',
  p: 'pause',
  resume: 'resume',
  r: 'resume'
}
const WORDS: Readonly<Record<string, 'status' | 'help' | 'quit'>> = {
  status: 'status',
  help: 'help',
  h: 'help',
  '?': 'help',
  quit: 'quit',
  q: 'quit',
  exit: 'quit'
}

export const HELP = `  kill 2    (k2)  end node 2 as a power cut would: SIGKILL
  start 2   (s2)  start node 2 again
  stop 2          stop node 2 in order
  pause 2   (p2)  hold node 2: SIGSTOP
  resume 2  (r2)  let it go on
  status          nodes, controller, leaders
  quit            stop all, as Ctrl-C
Instead of a number: controller, the node that leads the metadata quorum.`

export function parseCommand(line: string): Command {
  const text = line.trim().toLowerCase()
  if (text === '') return { verb: 'nothing' }
  if (Object.hasOwn(WORDS, text)) return { verb: WORDS[text] as 'status' | 'help' | 'quit' }
  const match = /^([a-z]+)\s*(\d+|\bcontroller)$/.exec(text)
  const verb = match !== null && Object.hasOwn(VERBS, match[1] as string) ? VERBS[match[1] as string] : undefined
  if (match === null || verb === undefined) return { verb: 'unknown', text: line.trim() }
  return { verb, target: match[2] === 'controller' ? 'controller' : Number(match[2]) }
}
