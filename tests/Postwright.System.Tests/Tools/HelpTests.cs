using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

public sealed class HelpTests
{
    [Fact]
    public async Task Every_command_explains_itself()
    {
        CommandRun commands = await CommandRun.RunAsync(TestPrograms.PathOf("postwright"), ["--commands"]);
        string[] names = [.. commands.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(name => name != "showq")];
        Assert.Contains("postqueue", names);
        foreach (string name in names)
        {
            CommandRun help = await CommandRun.RunAsync(TestPrograms.PathOf(name), ["--help"]);
            Assert.Equal((0, ""), (help.ExitStatus, help.Error));
            Assert.StartsWith($"usage: {name}", help.Output, StringComparison.Ordinal);
        }
    }
}
