using Postwright.Commands;

// Writers of our own: .NET's would set the terminal up, and write its codes for that before the first message.
Console.SetOut(new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true });
Console.SetError(new StreamWriter(Console.OpenStandardError()) { AutoFlush = true });
return CommandTable.Run(Environment.GetCommandLineArgs(), args);
