// What the command line offers: brokers, a cluster for trying out, directories in Kafka's way, the settings. A wrong flag ends with 2, a
// failure of operation with 1, each with one clear line on standard error; what people want to know is on standard output.
import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { MoldauError } from '../protocol/failure.ts'
import { VERSION } from './version.ts'

/** Ends the command: one line, no stack, for everything that is not a bug. */
function endWith(error: unknown): void {
  if (error instanceof CommanderError) {
    // commander has printed its own line; help and version are no failures.
    process.exitCode = error.exitCode === 0 ? 0 : 2
    return
  }
  const operational = error instanceof Error && error.name === 'MoldauError'
  process.stderr.write(
    operational ? `moldau: ${error.message}\n` : `moldau: ${error instanceof Error ? error.stack : error}\n`
  )
  // Half of a broker may be running.
  process.exit(1)
}

function assignment(value: string, earlier: readonly string[]): readonly string[] {
  if (!/^[^=\s]+=/.test(value)) throw new InvalidArgumentError('It must be key=value.')
  return [...earlier, value]
}

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(value)
}

function settingsFile(path: string): { path: string; text: string } {
  try {
    return { path, text: readFileSync(path, 'utf8') }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    const why =
      { ENOENT: 'there is no such file', EACCES: 'it may not be read', EISDIR: 'it is a directory' }[code] ?? code
    throw new MoldauError('ERR_CONFIG', `settings file ${path}: ${why}`, { cause: error })
  }
}

const program = new Command('moldau')
  .description('A Kafka-compatible partitioned log broker.')
  .version(VERSION)
  .exitOverride()
  .configureOutput({ outputError: (line, write) => write(line.replace(/^error: /, 'moldau: ')) })

program
  .command('start')
  .description('Start a broker. Without FILE: on localhost:9092, with data in ./moldau-data.')
  .argument('[FILE]', "settings with Kafka's names (server.properties)")
  .option(
    '--set <key=value>',
    'a setting; goes before FILE and the environment (KAFKA_*); may stand several times',
    assignment,
    []
  )
  .addOption(new Option('--with-parent', 'end with the process that started this one, over its channel').hideHelp())
  .action(async (file: string | undefined, options: { set: readonly string[]; withParent?: boolean }) => {
    const { start } = await import('./start.ts')
    const sources = { file: file === undefined ? undefined : settingsFile(file), set: options.set }
    await start(sources, { withParent: options.withParent === true })
  })

program
  .command('dev')
  .description(
    'Start a cluster of brokers on this machine, each a process of its own; a second start goes on with its data.'
  )
  .option('--brokers <n>', 'how many', wholeNumber, 3)
  .option('--data <directory>', 'where settings and data are kept', './moldau-cluster')
  .option(
    '--port <n>',
    'of the first broker; the others follow, controllers are at +100 (default: 9092, or a free one)',
    wholeNumber
  )
  .option(
    '--set <key=value>',
    'a setting for all of them; goes before the environment (KAFKA_*); may stand several times',
    assignment,
    []
  )
  .action(async (options: { brokers: number; data: string; port?: number; set: readonly string[] }) => {
    const { dev } = await import('../clients/dev/dev.ts')
    const command = [process.execPath, ...process.execArgv, process.argv[1] as string]
    await dev({ ...options, port: options.port ?? null, command })
  })

program
  .command('format')
  .description("Prepare a node's directory ahead of its first start, as kafka-storage does; moldau does not need it.")
  .requiredOption('-t, --cluster-id <id>', 'the cluster that it will be of')
  .requiredOption('-c, --config <FILE>', "the node's settings")
  .option('-g, --ignore-formatted', 'no failure where it is formatted already')
  .option('-s, --standalone', 'a node that is alone')
  .action(async (o: { clusterId: string; config: string; ignoreFormatted?: boolean; standalone?: boolean }) => {
    const { format } = await import('./format.ts')
    const [ignoreFormatted, standalone] = [o.ignoreFormatted === true, o.standalone === true]
    const done = await format({ file: settingsFile(o.config), clusterId: o.clusterId, ignoreFormatted, standalone })
    process.stdout.write(`${done}\n`)
  })

program
  .command('random-uuid')
  .description('Print a new id, as for a cluster.')
  .action(async () => {
    const { systemRandom } = await import('./clock.ts')
    process.stdout.write(`${systemRandom.uuid()}\n`)
  })

program
  .command('config')
  .description('List all settings: name, type, default, and what each is for.')
  .argument('[WORD]', 'only settings whose name contains it')
  .option('--json', 'as JSON')
  .option('--markdown', 'as a page of documentation')
  .action(async (word: string | undefined, options: { json?: boolean; markdown?: boolean }) => {
    const { settingsAsJson, settingsAsMarkdown, settingsAsText } = await import('./config/listing.ts')
    const list = options.json ? settingsAsJson : options.markdown ? settingsAsMarkdown : settingsAsText
    process.stdout.write(list(word))
  })

program
  .command('sim')
  .description('Run clusters in the simulator: whole brokers, faults of every kind, and checks after each event.')
  .option('--seed <N>', 'the first seed; a seed is a run, event by event', '1')
  .option('--runs <K>', 'how many seeds', '1')
  .option('--hours <H>', 'simulated time with faults, for each run', '0.25')
  .option('--brokers <N>', 'how many nodes', '3')
  .option('--faults <LIST>', 'names with commas, all, or none', 'all')
  .option('--every <SECONDS>', 'simulated time from one fault to the next, on average', '20')
  .option('--rest <FACTOR>', 'so many times longer do clients rest between bursts of work', '1')
  .option('--only <NUMBERS>', 'only these of the faults that the seed draws, as a failure names them, with commas')
  .option('--shrink <K>', 'runs that may be spent on a shorter list of faults after a failure', '60')
  .addHelpText(
    'after',
    '\nIt ends with 1 where a promise was broken, and says which, by which seed, and by which faults.'
  )
  .action(
    async (
      options: Record<'seed' | 'runs' | 'hours' | 'brokers' | 'faults' | 'every' | 'rest' | 'shrink', string> & {
        readonly only?: string
      }
    ) => {
      const { optionsFrom, sim } = await import('../clients/simulate/command.ts')
      // Whoever reads the lines has enough.
      process.stdout.on('error', () => process.exit(0))
      process.exitCode = await sim(optionsFrom(options), line => process.stdout.write(`${line}\n`))
    }
  )

program.parseAsync().catch(endWith)
