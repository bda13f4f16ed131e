// Stands in for koffi when a program is bundled: the native module itself.
// What the package does before, it does to find the right one of many, and there is one.
module.exports = require('@koromix/koffi-linux-x64/linux_x64/koffi.node');
