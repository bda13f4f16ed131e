/** Arguments as a POSIX shell would need them written, so that the boundaries between them stay visible. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(shellQuote).join(' ');
}

function shellQuote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
