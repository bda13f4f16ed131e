// Stands in for koffi when the supervisor is bundled: the native module itself, which the bundler copies beside the bundle.
// What the package does before, it does to find the right one of many; the guest has one.
module.exports = require('@koromix/koffi-linux-x64/linux_x64/koffi.node');
