using Postwright.Core.Configuration.Postconf;
using Postwright.Core.Posix;

namespace Postwright.Commands;

/// <summary>postconf(1): the program is <see cref="PostconfProgram"/>; this gives it the real streams, disk and environment.</summary>
internal static class PostconfCommand
{
    public static int Run(string[] arguments)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput());
        string called = CommandTable.InvokedAs() ?? "postconf";
        string program = Path.GetFileName(called) == "postwright" ? "postconf" : called;
        return new PostconfProgram(program, output, Console.Error, new LinuxDisk())
            .Run(arguments, Environment.GetEnvironmentVariable("MAIL_CONFIG"));
    }
}
