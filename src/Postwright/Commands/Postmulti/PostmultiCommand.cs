using Postwright.Commands.Shared;

namespace Postwright.Commands.Postmulti;

/// <summary>
/// postmulti(1): lists the instances, runs commands for each of them, makes and removes them. The primary instance is the one
/// in /etc/postfix, as in Postfix. Messages and exit codes are Postfix's; they go to standard error, terminal or not.
/// </summary>
internal static class PostmultiCommand
{
    /// <summary>Runs it.</summary>
    public static int Run(string[] arguments)
    {
        CommandMessages messages = new("postmulti", Console.Error, fatalStatus: 1);
        var options = new PostmultiOptions();
        if (options.Read("postmulti", arguments, Console.Error) is { } trouble)
        {
            return messages.Fatal(trouble);
        }

        return MailInstances.Load(messages) is not { } instances ? 1
            : options.Mode == PostmultiMode.Edit ? new InstanceLifeCycle(instances, options, messages).Run()
            : new InstanceIterator(instances, options, messages).Run();
    }
}
