namespace Postwright.Testing.Processes;

/// <summary>What a live process has open, while it goes on opening and closing.</summary>
public static class OpenFiles
{
    /// <summary>What its descriptors name: paths of files, <c>socket:[N]</c> and the like below <c>/proc</c>; in no order.</summary>
    public static string[] Of(int process) => [.. Directory.GetFiles($"/proc/{process}/fd").Select(Target).OfType<string>()];

    private static string? Target(string descriptor)
    {
        try
        {
            return File.ResolveLinkTarget(descriptor, returnFinalTarget: false)?.FullName;
        }
        catch (FileNotFoundException)
        {
            // Closed since the directory was read.
            return null;
        }
    }
}
