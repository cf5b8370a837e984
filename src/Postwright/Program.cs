using Postwright.Commands;

return CommandTable.Run(Environment.GetCommandLineArgs(), args);
