// How long the import takes, in processor time: other programs do not count.
const before = process.cpuUsage();
await import('cria');
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
