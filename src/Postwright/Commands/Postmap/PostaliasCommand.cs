namespace Postwright.Commands.Postmap;

/// <summary><c>postalias</c>: postmap for alias files, whose source has the form <c>name: value, ...</c>.</summary>
internal static class PostaliasCommand
{
    /// <summary>Runs the command.</summary>
    public static int Run(string[] arguments) => PostmapCommand.Run("postalias", arguments);
}
