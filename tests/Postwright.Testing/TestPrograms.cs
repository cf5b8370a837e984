namespace Postwright.Testing;

/// <summary>
/// The programs under test. POSTWRIGHT_SBIN names the published ones; without it, links to the last build stand in for them.
/// </summary>
public static class TestPrograms
{
    private static readonly Lazy<string> Directory = new(Find);

    /// <summary>The folder that holds the commands by their Postfix names.</summary>
    public static string SbinDirectory => Directory.Value;

    /// <summary>The project's root: where Postwright.slnx is.</summary>
    public static string ProjectRoot { get; } = FindRoot();

    /// <summary>Test data from elsewhere, or null where it is absent (tests that need it are then skipped by name).</summary>
    public static string? TestData
    {
        get
        {
            string folder = Environment.GetEnvironmentVariable("POSTWRIGHT_TESTDATA") ?? Path.Combine(ProjectRoot, "../shared/testdata");
            return System.IO.Directory.Exists(folder) ? Path.GetFullPath(folder) : null;
        }
    }

    /// <summary>The path of a command, such as <c>postmap</c>.</summary>
    public static string PathOf(string command)
    {
        string path = Path.Combine(SbinDirectory, command);
        if (!File.Exists(path) && Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is null)
        {
            try
            {
                File.CreateSymbolicLink(path, Path.Combine(SbinDirectory, "postwright"));
            }
            catch (IOException) when (File.Exists(path))
            {
            }
        }

        return path;
    }

    private static string Find()
    {
        if (Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is { Length: > 0 } sbin)
        {
            return Path.GetFullPath(sbin);
        }

        string built = Path.Combine(ProjectRoot, "src/Postwright/bin/Release/net10.0/postwright");
        string links = System.IO.Directory.CreateTempSubdirectory("postwright-sbin-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => System.IO.Directory.Delete(links, recursive: true);
        File.CreateSymbolicLink(Path.Combine(links, "postwright"), built);
        return links;
    }

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Postwright.slnx")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("the tests run outside the project's tree");
    }
}
